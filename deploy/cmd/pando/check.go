package main

import (
	"bytes"
	"context"
	"io"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/mgmt-api/api/ctl"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

// loaded is a configuration that was read and checked.
type loaded struct {
	*boot.Loaded
	config *allinone.Config
}

func (o *options) load() (loaded, error) {
	c := allinone.Default()
	l, err := boot.Load(c, o.Options)
	return loaded{l, c}, err
}

// settle finishes the configuration, and finds what a start would stumble over.
func (l loaded) settle() error {
	err := l.config.Settle()
	if err == nil {
		err = l.config.CheckFiles()
	}
	return run.WithCode(run.CodeUsage, err)
}

// couldRestart finds what would keep the suite from starting again, as far as it shows while another process holds the ports.
func (o *options) couldRestart(ctx context.Context) error {
	l, err := o.load()
	if err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return l.config.CheckExposure(hasUsers(ctx, l.config.DataDir))
}

// hasUsers asks the running process whether somebody has added users. One that cannot be asked may have some: its start will tell.
func hasUsers(ctx context.Context, dir string) bool {
	var out bytes.Buffer
	s := ctl.Streams{In: bytes.NewReader(nil), Out: &out, Err: io.Discard, Getenv: func(string) string { return "" }}
	err := ctl.Run(ctx, s, []string{"users", "list", "--output=json", "--data-dir=" + dir})
	return err != nil || !bytes.Equal(bytes.TrimSpace(out.Bytes()), []byte("[]"))
}
