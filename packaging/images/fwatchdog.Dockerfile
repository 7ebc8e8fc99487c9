# The watchdog alone, from which images of functions copy it:
#   docker build -t hello-retail/fwatchdog:latest -f packaging/images/fwatchdog.Dockerfile build/bin
FROM scratch
COPY fwatchdog /fwatchdog
