package log

import (
	"fmt"
	"log/slog"
	"strings"
)

// Config is the section "log" of every process.
type Config struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error" hot:"true" doc:"Least severe level that is written: info when the process changes its state, debug for single devices."`
	Format string `yaml:"format" default:"text" enum:"text,json" doc:"One line per event, as key=value text or as a JSON object."`
	File   string `yaml:"file" doc:"File to append to instead of standard error. It is not rotated here: use logrotate with copytruncate."`
}

// Default is the configuration of a process that sets nothing.
func Default() Config { return Config{Level: "info", Format: "text"} }

// Validate names the first key that has no meaning.
func (c Config) Validate() error {
	if _, err := ParseLevel(c.Level); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	if c.Format != "text" && c.Format != "json" {
		return fmt.Errorf("log.format: %q is neither text nor json", c.Format)
	}
	return nil
}

// ParseLevel understands debug, info, warn (or warning) and error, in any case.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn, error", s)
}
