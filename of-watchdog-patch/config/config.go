// Package config turns the environment of the watchdog into settings.  It
// knows the names and defaults that OpenFaaS documents for its watchdog; a
// value that cannot be understood, or a feature that is not here, is an error
// and never a silent default.  It reads no file and starts nothing.
package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Mode is how a request reaches the function.
type Mode string

const (
	ModeHTTP        Mode = "http"        // one long-lived process that speaks HTTP
	ModeStreaming   Mode = "streaming"   // a process for each request, bytes pass as they come
	ModeSerializing Mode = "serializing" // a process for each request, bodies held in memory
	ModeStatic      Mode = "static"      // files, no process
)

const (
	defaultTimeout       = 30 * time.Second
	defaultLogBufferSize = 64 * 1024
	defaultPort          = 8080
	defaultMetricsPort   = 8081
	defaultContentType   = "application/octet-stream"
	defaultStaticPath    = "/home/app/public"
)

// Config is every setting, checked.
type Config struct {
	Mode        Mode
	Process     []string // program and arguments; empty in static mode
	UpstreamURL *url.URL // http mode only

	Port        int
	MetricsPort int // 0: no metrics

	ReadTimeout         time.Duration
	WriteTimeout        time.Duration
	ExecTimeout         time.Duration // 0: none
	HealthcheckInterval time.Duration

	MaxInflight int // 0: no limit
	OneShot     bool

	ContentType    string
	StaticPath     string
	ReadyPath      string
	CGIHeaders     bool
	BufferHTTPBody bool
	SuppressLock   bool

	PrefixLogs bool
	LogCallID  bool
	Assist     bool // load the runtime assist into functions (fwatchdog, http mode)

	LogBufferSize int // longest piece of a line, in bytes; -1: no limit
}

// Load reads settings from an environment as os.Environ gives it.  Warnings
// name settings that are present and have no effect here.
func Load(environ []string) (c Config, warnings []string, err error) {
	r := reader{values: parse(environ)}
	if err := refuse(&r); err != nil {
		return Config{}, nil, err
	}
	c = Config{
		Mode:           Mode(r.text(string(ModeStreaming), "mode")),
		Process:        strings.Fields(r.text("", "function_process", "fprocess")),
		Port:           r.number(defaultPort, 1, 65535, "port"),
		MetricsPort:    r.number(defaultMetricsPort, 0, 65535, "metrics_port"),
		ReadTimeout:    r.duration(defaultTimeout, "read_timeout"),
		WriteTimeout:   r.duration(defaultTimeout, "write_timeout"),
		ExecTimeout:    r.duration(defaultTimeout, "exec_timeout"),
		MaxInflight:    max(0, r.number(0, -1<<31, 1<<31-1, "max_inflight")),
		OneShot:        r.flag(false, "one_shot"),
		ContentType:    r.text(defaultContentType, "content_type"),
		StaticPath:     r.text(defaultStaticPath, "static_path"),
		ReadyPath:      r.text("", "ready_path"),
		CGIHeaders:     r.flag(true, "cgi_headers"),
		BufferHTTPBody: r.flag(false, "http_buffer_req_body", "buffer_http"),
		SuppressLock:   r.flag(false, "suppress_lock"),
		PrefixLogs:     r.flag(true, "prefix_logs"),
		LogCallID:      r.flag(false, "log_call_id", "log_callid"),
		Assist:         r.flag(true, "faasprov_assist"),
		LogBufferSize:  r.number(defaultLogBufferSize, -1, 1<<30, "log_buffer_size"),
	}
	c.HealthcheckInterval = r.duration(c.WriteTimeout, "healthcheck_interval")
	upstream := r.text("", "http_upstream_url", "upstream_url")
	if r.err == nil {
		r.err = c.check(upstream)
	}
	if r.err != nil {
		return Config{}, nil, r.err
	}
	return c, ineffective(&r), nil
}

// check completes c and judges the settings together.
func (c *Config) check(upstream string) error {
	switch c.Mode {
	case ModeHTTP:
		u, err := url.Parse(upstream)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("mode=http needs http_upstream_url, e.g. http://127.0.0.1:3000; it is %q", upstream)
		}
		c.UpstreamURL = u
	case ModeStreaming, ModeSerializing, ModeStatic:
	case "inproc":
		return fmt.Errorf("mode=inproc runs a Go handler linked into the watchdog; there is none in this program")
	case "afterburn":
		return fmt.Errorf("mode=afterburn is not supported; use mode=http")
	default:
		return fmt.Errorf("mode=%s is unknown; it is one of http, streaming, serializing, static", c.Mode)
	}
	if len(c.Process) == 0 && c.Mode != ModeStatic {
		return fmt.Errorf("function_process (or fprocess) is not set: there is no function to run")
	}
	if c.WriteTimeout == 0 {
		return fmt.Errorf("write_timeout must be more than 0s")
	}
	if c.LogBufferSize == 0 {
		return fmt.Errorf("log_buffer_size must be -1 (no limit) or more than 0")
	}
	if c.ReadyPath != "" && !strings.HasPrefix(c.ReadyPath, "/") {
		return fmt.Errorf("ready_path must begin with '/'; it is %q", c.ReadyPath)
	}
	return nil
}

// refuse rejects what changes who may call a function, and is not here: to
// ignore it would open the function to everyone.
func refuse(r *reader) error {
	if r.flag(false, "jwt_auth") {
		return fmt.Errorf("jwt_auth=true is not supported by this watchdog: requests would not be authenticated")
	}
	if r.text("", "opa_policy") != "" {
		return fmt.Errorf("opa_policy is not supported by this watchdog: requests would not be authorized")
	}
	return r.err
}

func ineffective(r *reader) []string {
	var warnings []string
	for _, name := range []string{"jwt_auth_debug", "jwt_auth_local", "write_debug", "read_debug",
		"combine_output", "combined_output", "hard_timeout", "marshal_request"} {
		if r.text("", name) != "" {
			warnings = append(warnings, fmt.Sprintf("setting %s has no effect in this watchdog", name))
		}
	}
	return warnings
}

func parse(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			values[name] = value
		}
	}
	return values
}

// reader takes typed values out of the environment and keeps the first error.
// An empty value counts as not set.  Of several names the first that is set wins.
type reader struct {
	values map[string]string
	err    error
}

func (r *reader) find(names []string) (name, value string) {
	for _, name := range names {
		if value := strings.TrimSpace(r.values[name]); value != "" {
			return name, value
		}
	}
	return "", ""
}

func (r *reader) fail(name, value, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s=%s: %s", name, value, want)
	}
}

func (r *reader) text(fallback string, names ...string) string {
	if _, value := r.find(names); value != "" {
		return value
	}
	return fallback
}

func (r *reader) number(fallback, least, most int, names ...string) int {
	name, value := r.find(names)
	if value == "" {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		r.fail(name, value, fmt.Sprintf("want a whole number from %d to %d", least, most))
		return fallback
	}
	return n
}

func (r *reader) flag(fallback bool, names ...string) bool {
	name, value := r.find(names)
	if value == "" {
		return fallback
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		r.fail(name, value, "want true or false")
		return fallback
	}
	return b
}

// duration takes whole seconds ("20") or Go's notation ("1m30s").
func (r *reader) duration(fallback time.Duration, names ...string) time.Duration {
	name, value := r.find(names)
	if value == "" {
		return fallback
	}
	d, err := time.ParseDuration(value)
	if seconds, atoi := strconv.ParseInt(value, 10, 32); atoi == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < 0 {
		r.fail(name, value, "want seconds or a duration such as 1m30s, not negative")
		return fallback
	}
	return d
}
