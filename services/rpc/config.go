package rpc

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

const (
	defaultCredit     = 4<<20 + 512<<10 // a route.Publisher's window, and the item that overdraws it
	defaultQueue      = 64 << 20
	defaultMaxMessage = 64 << 20
	messageSlack      = 64 << 10 // what a frame adds to its one large item
	windowStream      = 1 << 20
	windowConn        = 4 << 20
)

// TLS names the PEM files of one process. The zero value is plain text. Certificate and key are read again when their files change; the CA is read once.
type TLS struct {
	CertFile   string `yaml:"certfile" doc:"PEM certificate chain of this process, shown to those who connect and to those it connects to"`
	KeyFile    string `yaml:"keyfile" doc:"PEM private key of this process"`
	CACertFile string `yaml:"cacertfile" doc:"PEM certificates that sign the other processes' certificates; with it both sides must show one"`
	ServerName string `yaml:"server_name" doc:"name that certificates of servers must carry; empty: the host of the address"`
}

// On reports whether TLS is used.
func (t TLS) On() bool { return t.CertFile != "" || t.CACertFile != "" }

func (t TLS) validate() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("tls: certfile and keyfile belong together")
	}
	return nil
}

// ServerConfig describes the gRPC server of a process. Sizes are bytes; zero values are the defaults.
type ServerConfig struct {
	Listen        string        `yaml:"listen" doc:"host:port of the gRPC server"`
	TLS           TLS           `yaml:"tls" doc:"certificates; without them plain text"`
	MaxMessage    int           `yaml:"max_message" doc:"largest gRPC message; more than the largest packet of any gateway (64 MiB)"`
	KeepAlive     time.Duration `yaml:"keepalive" doc:"silence after which a connection is tested (10 s)"`
	KeepAliveWait time.Duration `yaml:"keepalive_timeout" doc:"how long a tested connection has to answer (3 s)"`
	Credit        int           `yaml:"credit" doc:"bytes that one channel may have on the way or waiting in the server (4.5 MiB)"`
	QueueBytes    int           `yaml:"queue_bytes" doc:"bytes of answers that may wait for one channel (64 MiB)"`
	MaxChannels   int           `yaml:"max_channels" doc:"channels of one physical stream (16384)"`
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.MaxMessage = cmp.Or(c.MaxMessage, defaultMaxMessage)
	c.KeepAlive = cmp.Or(c.KeepAlive, 10*time.Second)
	c.KeepAliveWait = cmp.Or(c.KeepAliveWait, 3*time.Second)
	c.Credit = cmp.Or(c.Credit, defaultCredit)
	c.QueueBytes = cmp.Or(c.QueueBytes, defaultQueue)
	c.MaxChannels = cmp.Or(c.MaxChannels, 16384)
	return c
}

// Validate refuses what cannot work.
func (c ServerConfig) Validate() error {
	d := c.withDefaults()
	if d.MaxMessage < 1<<20 || d.Credit < 64<<10 || d.QueueBytes < 64<<10 || d.MaxChannels < 1 || d.KeepAlive < 0 || d.KeepAliveWait < 0 {
		return fmt.Errorf("rpc server: max_message must be at least 1MiB, credit and queue_bytes 64KiB, the others positive: %+v", d)
	}
	return d.TLS.validate()
}

// ClientConfig describes how a process reaches the others. Sizes are bytes; zero values are the defaults.
type ClientConfig struct {
	TLS            TLS           `yaml:"tls" doc:"certificates; without them plain text"`
	MaxMessage     int           `yaml:"max_message" doc:"largest gRPC message (64 MiB)"`
	MaxConnections int           `yaml:"max_connections" doc:"connections at once (4096)"`
	IdleTimeout    time.Duration `yaml:"idle_timeout" doc:"how long an unused stream and connection are kept (60 s)"`
	ConnectTimeout time.Duration `yaml:"connect_timeout" doc:"how long one attempt to connect may take (3 s)"`
	Backoff        time.Duration `yaml:"backoff" doc:"longest pause between attempts to connect (1 s)"`
	KeepAlive      time.Duration `yaml:"keepalive" doc:"silence after which a connection in use is tested (10 s)"`
	KeepAliveWait  time.Duration `yaml:"keepalive_timeout" doc:"how long a tested connection has to answer (3 s)"`
	QueueBytes     int           `yaml:"queue_bytes" doc:"bytes that may wait for one channel's credit (64 MiB)"`
}

func (c ClientConfig) withDefaults() ClientConfig {
	c.MaxMessage = cmp.Or(c.MaxMessage, defaultMaxMessage)
	c.MaxConnections = cmp.Or(c.MaxConnections, 4096)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Minute)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, 3*time.Second)
	c.Backoff = cmp.Or(c.Backoff, time.Second)
	c.KeepAlive = max(cmp.Or(c.KeepAlive, 10*time.Second), 10*time.Second) // gRPC allows no less
	c.KeepAliveWait = cmp.Or(c.KeepAliveWait, 3*time.Second)
	c.QueueBytes = cmp.Or(c.QueueBytes, defaultQueue)
	return c
}

// maxItem is the largest item that a message can carry.
func (c ClientConfig) maxItem() int { return c.MaxMessage - messageSlack }

// Validate refuses what cannot work.
func (c ClientConfig) Validate() error {
	d := c.withDefaults()
	if d.MaxMessage < 1<<20 || d.QueueBytes < 64<<10 || d.MaxConnections < 1 || d.IdleTimeout < 0 || d.ConnectTimeout < 0 || d.Backoff < 0 {
		return fmt.Errorf("rpc client: max_message must be at least 1MiB, queue_bytes 64KiB, the others positive: %+v", d)
	}
	return d.TLS.validate()
}
