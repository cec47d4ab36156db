// Package config loads one YAML file, and what is laid over and under it, into
// any tree of Go structs: strictly, and remembering where each value came from.
//
// The struct tags are the only documentation of a key, so that the reference
// page, the explanations of the command line and the error messages cannot
// disagree:
//
//	type Config struct {
//		MaxClients int           `yaml:"max_clients" default:"102400" doc:"Connections one listener holds at most."`
//		Idle       config.Duration `yaml:"idle_timeout" default:"30s" doc:"Time from accept to CONNECT." hot:"true"`
//		Level      string        `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"What is logged."`
//	}
//
// Further tags: unit ("bytes") is shown beside the type; secret:"true" masks a
// plain string everywhere; hot:"true" marks a key that may change while the
// program runs. A struct embedded without a yaml tag is read inline.
//
// Types: string, bool, integers, floats, slices, nested structs, maps from a
// name to any of these, pointers (nil = not set), types with UnmarshalText,
// and the scalars of this package: Duration, Size, Percent, Rate, Limit, Secret.
//
// Order, each over the one before: the default tags, Source.Extra (for example
// an emq.conf read by package emq), the YAML file, the environment
// (PANDO_A__B=value), Source.Overrides (a.b=value). Lists are replaced, maps
// are merged by name.
//
// What it promises: a key that no struct declares, a value of another type, a
// key given twice and a YAML file it cannot understand to the last node are
// refused; every problem is reported at once, with the place and the nearest
// key that exists. What it never does: guess, fall back silently, or show a
// secret.
package config
