module faasprov/watchdog

go 1.22
