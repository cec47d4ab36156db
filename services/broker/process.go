package broker

import "context"

// ProcessAdmin is what every process answers to management, whatever it serves.
type ProcessAdmin interface {
	// ReloadConfig reads the configuration again and puts the keys into force that may change while the process runs. It lists every key that differs, also
	// those that wait for the next start. KindInvalid: it is refused, and the old one stays; KindUnavailable: the process is not there yet.
	ReloadConfig(ctx context.Context) ([]ConfigChange, error)
}

// ConfigChange is a key of the configuration with another value than before.
type ConfigChange struct {
	Key      string
	From, To string // secrets are masked; "": there was none
	Hot      bool   // the new value is in force; false: it will be at the next start
}
