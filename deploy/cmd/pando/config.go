package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/services/run"
)

func (o *options) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "check, print and explain the configuration", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "check", Short: "read everything that run would read, and say what is wrong", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error { return o.check(c.OutOrStdout()) },
		},
		&cobra.Command{
			Use: "print", Short: "print every key with its value and where that comes from, as YAML", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				l, err := o.load()
				if err != nil {
					return err
				}
				return l.Print(c.OutOrStdout())
			},
		},
		&cobra.Command{
			Use: "explain KEY", Short: "say what a key, or a section, means and what its value is",
			Args: func(c *cobra.Command, args []string) error {
				if len(args) != 1 {
					return run.WithCode(run.CodeUsage, fmt.Errorf("one key, please, such as: %s mqtt.max_packet_size", c.CommandPath()))
				}
				return nil
			},
			RunE: func(c *cobra.Command, args []string) error {
				l, err := o.load()
				if err != nil {
					return err
				}
				return run.WithCode(run.CodeUsage, l.Explain(c.OutOrStdout(), args[0]))
			},
		},
		&cobra.Command{
			Use: "reference", Short: "print the reference of all keys, as Markdown", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error { return allinone.Reference(c.OutOrStdout()) },
		})
	return c
}

func (o *options) check(w io.Writer) error {
	l, err := o.load()
	if err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	for _, n := range l.Notices {
		fmt.Fprintln(w, n)
	}
	for _, f := range l.Files {
		fmt.Fprintln(w, f+": ok")
	}
	if len(l.Files) == 0 {
		fmt.Fprintln(w, "no file is read: defaults and environment are ok")
	}
	if err := l.config.CheckExposure(false); err != nil {
		fmt.Fprintf(w, "unless users were added with pandoctl, a start will be refused: %v\n", err)
	}
	return nil
}
