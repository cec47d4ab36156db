package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pando-mq/pando/deploy/bench/process"
	"github.com/pando-mq/pando/deploy/bench/suite"
	"github.com/pando-mq/pando/services/run"
)

// table is what the commands that measure whole tables are told.
type table struct {
	bin, out string
	quick    bool
	peer     bool
	only     []string
	repeat   int
}

func (t *table) add(s *pflag.FlagSet) {
	s.StringVar(&t.bin, "bin", "bin", "directory of the programs of Pando")
	s.StringVar(&t.out, "out", "", "directory for the table (Markdown, JSON); none: the standard output only")
	s.BoolVar(&t.quick, "quick", false, "the same scenarios with less: not for publication")
	s.BoolVar(&t.peer, "peer", true, "measure mosquitto, too")
	s.StringSliceVar(&t.only, "only", nil, "rows, by their keys")
	s.IntVar(&t.repeat, "repetitions", 0, "samples of each figure (3, quick 1)")
}

func runCommand() *cobra.Command {
	var t table
	var keys []string
	for _, r := range suite.Rows() {
		keys = append(keys, r.Key)
	}
	c := &cobra.Command{
		Use: "run", Short: "measure every figure that has a bar, Pando beside mosquitto", GroupID: "table", Args: cobra.NoArgs,
		Long: "Starts Pando and mosquitto in turn, fresh for each figure, and writes the table. Rows: " + strings.Join(keys, ", ") + ".",
		RunE: func(c *cobra.Command, _ []string) error {
			return t.run(c, "figures", nil, suite.Table.Markdown)
		},
	}
	t.add(c.Flags())
	return c
}

func growthCommand() *cobra.Command {
	var t table
	c := &cobra.Command{
		Use: "growth", Short: "does a message cost the same among many connections, subscriptions, receivers?", GroupID: "table", Args: cobra.NoArgs,
		Long: "p2p beside 1,000, 5,000 and 18,000 idle connections; one message among 1,000, 100,000 and 1,000,000 subscriptions; fan-out to 1 up to 18,000 receivers. With a plot.",
		RunE: func(c *cobra.Command, _ []string) error {
			return t.run(c, "growth", suite.GrowthRows(t.scale()), suite.Table.Markdown)
		},
	}
	t.add(c.Flags())
	return c
}

func compareCommand() *cobra.Command {
	var t table
	c := &cobra.Command{
		Use: "compare NAME=BIN NAME=BIN", Short: "measure two builds of Pando, in turn", GroupID: "table", Args: cobra.ExactArgs(2),
		Long: "Each argument is a name and a directory of programs, the older build first: pando-bench compare v1=old/bin v2=bin",
		RunE: func(c *cobra.Command, args []string) error { return t.compare(c, args) },
	}
	t.add(c.Flags())
	return c
}

func (t *table) scale() suite.Scale {
	s := suite.Full()
	if t.quick {
		s = suite.Quick()
	}
	if t.repeat > 0 {
		s.Repetitions = t.repeat
	}
	if files, err := process.RaiseFiles(); err == nil {
		s.Connections = min(s.Connections, int(files)-suite.SpareFiles)
	}
	return s
}

func (t *table) options(c *cobra.Command, rows []suite.Row, bins ...suite.Bin) suite.Options {
	return suite.Options{
		Scale: t.scale(), Rows: rows, Only: t.only, Bins: bins, Peer: t.peer,
	}
}

func (t *table) run(c *cobra.Command, name string, rows []suite.Row, write func(suite.Table, io.Writer) error) error {
	bin, err := programs(t.bin)
	if err != nil {
		return err
	}
	if _, err := suite.FindMosquitto(); t.peer && err != nil {
		return fmt.Errorf("%w: install it, or say --peer=false", err)
	}
	result, err := t.measure(c, t.options(c, rows, suite.Bin{Name: "pando", Dir: bin}))
	if err != nil {
		return err
	}
	if err := write(result, c.OutOrStdout()); err != nil || t.out == "" {
		return err
	}
	return t.keep(name, result, write)
}

func (t *table) compare(c *cobra.Command, args []string) error {
	var bins []suite.Bin
	for _, a := range args {
		name, dir, ok := strings.Cut(a, "=")
		if !ok {
			return run.WithCode(run.CodeUsage, errors.New("want NAME=DIRECTORY, not "+a))
		}
		dir, err := programs(dir)
		if err != nil {
			return err
		}
		bins = append(bins, suite.Bin{Name: name, Dir: dir})
	}
	t.peer = false
	result, err := t.measure(c, t.options(c, nil, bins...))
	if err != nil {
		return err
	}
	write := func(r suite.Table, w io.Writer) error { return r.Compare(w, bins[0].Name, bins[1].Name) }
	if err := write(result, c.OutOrStdout()); err != nil || t.out == "" {
		return err
	}
	return t.keep("compare", result, write)
}

// longest is how long a table may take altogether; its own budget is shorter.
const longest = 40 * time.Minute

// measure shows a bar on a terminal for the sample that is under way, and a line for each that is done.
func (t *table) measure(c *cobra.Command, o suite.Options) (suite.Table, error) {
	p := newProgress(c.ErrOrStderr())
	if p.terminal {
		o.Progress = p.show
	}
	o.Report = writer(func(b []byte) (int, error) { p.end(); return c.ErrOrStderr().Write(b) })
	ctx, cancel := context.WithTimeout(c.Context(), longest)
	defer cancel()
	return suite.Run(ctx, o)
}

// writer is a function that writes.
type writer func([]byte) (int, error)

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) { return w(b) }

// programs checks that a directory has what is started.
func programs(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"pando", "pandoctl", "pando-cluster"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%w: make build", err)
		}
	}
	return dir, nil
}

// keep writes the files, named by date and time.
func (t *table) keep(name string, r suite.Table, write func(suite.Table, io.Writer) error) error {
	if err := os.MkdirAll(t.out, 0o755); err != nil {
		return err
	}
	base := filepath.Join(t.out, r.Machine.When.Format("2006-01-02-1504")+"-"+name)
	if t.quick {
		base += "-quick"
	}
	err := errors.Join(
		create(base+".md", func(w io.Writer) error { return write(r, w) }),
		create(base+".json", func(w io.Writer) error { return encode(w, r) }))
	if name == "growth" {
		err = errors.Join(err, create(base+".svg", r.Plot))
	}
	for of, profile := range r.Profiles() {
		err = errors.Join(err, os.WriteFile(base+"-heap-"+of+".pb.gz", profile, 0o644))
	}
	return err
}
