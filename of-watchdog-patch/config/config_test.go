package config

import (
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, environ ...string) Config {
	t.Helper()
	c, _, err := Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, "fprocess=cat")
	if c.Mode != ModeStreaming || c.Port != 8080 || c.MetricsPort != 8081 || c.MaxInflight != 0 {
		t.Errorf("%+v", c)
	}
	for _, d := range []time.Duration{c.ReadTimeout, c.WriteTimeout, c.ExecTimeout, c.HealthcheckInterval} {
		if d != 30*time.Second {
			t.Errorf("%+v", c)
		}
	}
	if c.ContentType != "application/octet-stream" || c.StaticPath != "/home/app/public" || !c.CGIHeaders ||
		!c.PrefixLogs || c.LogBufferSize != 65536 || c.BufferHTTPBody || c.SuppressLock || c.OneShot || c.LogCallID || !c.Assist {
		t.Errorf("%+v", c)
	}
}

func TestEverySettingIsTaken(t *testing.T) {
	c := load(t, "mode=http", "fprocess=no", "function_process=node  index.js ", "upstream_url=http://no",
		"http_upstream_url=http://127.0.0.1:3000", "port=81", "metrics_port=0", "read_timeout=1m30s",
		"write_timeout=20", "exec_timeout=0", "max_inflight=5", "one_shot=true", "content_type=text/html",
		"ready_path=/r", "cgi_headers=false", "buffer_http=1", "suppress_lock=true", "prefix_logs=false",
		"log_callid=true", "log_buffer_size=-1", "faasprov_assist=false")
	if strings.Join(c.Process, "|") != "node|index.js" || c.UpstreamURL.Host != "127.0.0.1:3000" || c.Port != 81 ||
		c.MetricsPort != 0 || c.ReadTimeout != 90*time.Second || c.WriteTimeout != 20*time.Second ||
		c.ExecTimeout != 0 || c.HealthcheckInterval != 20*time.Second || c.MaxInflight != 5 || !c.OneShot {
		t.Errorf("%+v", c)
	}
	if c.ContentType != "text/html" || c.ReadyPath != "/r" || c.CGIHeaders || !c.BufferHTTPBody || !c.SuppressLock ||
		c.PrefixLogs || !c.LogCallID || c.LogBufferSize != -1 || c.Assist {
		t.Errorf("%+v", c)
	}
	if c := load(t, "mode=static", "static_path=/srv", "healthcheck_interval=0", "max_inflight=-1"); c.StaticPath != "/srv" ||
		c.HealthcheckInterval != 0 || c.MaxInflight != 0 || c.WriteTimeout != 30*time.Second {
		t.Errorf("%+v", c)
	}
}

func TestAnEmptyValueIsNone(t *testing.T) {
	if c := load(t, "fprocess=cat", "port=", "exec_timeout= ", "mode="); c.Port != 8080 || c.Mode != ModeStreaming {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for environ, want := range map[string]string{
		"":                                      "fprocess",
		"fprocess=a mode=http":                  "http_upstream_url",
		"fprocess=a mode=http upstream_url=x:y": "http_upstream_url",
		"fprocess=a mode=inproc":                "inproc",
		"fprocess=a mode=afterburn":             "afterburn",
		"fprocess=a mode=htpp":                  "htpp",
		"fprocess=a write_timeout=0":            "write_timeout",
		"fprocess=a exec_timeout=soon":          "exec_timeout",
		"fprocess=a exec_timeout=-1s":           "exec_timeout",
		"fprocess=a port=0":                     "port",
		"fprocess=a port=65536":                 "port",
		"fprocess=a log_buffer_size=0":          "log_buffer_size",
		"fprocess=a log_buffer_size=big":        "log_buffer_size",
		"fprocess=a suppress_lock=maybe":        "suppress_lock",
		"fprocess=a ready_path=ready":           "ready_path",
		"fprocess=a jwt_auth=true":              "jwt_auth",
		"fprocess=a jwt_auth=perhaps":           "jwt_auth",
		"fprocess=a opa_policy=/p.rego":         "opa_policy",
	} {
		_, _, err := Load(strings.Fields(environ))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", environ, err)
		}
	}
}

func TestIneffectiveSettingsAreNamed(t *testing.T) {
	_, warnings, err := Load([]string{"fprocess=a", "write_debug=true", "hard_timeout=3", "jwt_auth=false"})
	if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0]+warnings[1], "hard_timeout") {
		t.Errorf("%v %v", warnings, err)
	}
}
