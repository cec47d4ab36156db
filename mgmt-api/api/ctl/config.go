package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

// errRefused ends a reload that not every process did.
var errRefused = errors.New("the old configuration stays where the new one has an error")

func (a *app) configCommand() *cobra.Command {
	var node string
	reload := command("reload", "Have all processes read their configuration again, and print what differs", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		var answer *mgmtv1.ReloadConfigResponse
		err := list(c.Context(), a, 0, func(ctx context.Context, _ uint32, _ string) (p page[*mgmtv1.ConfigChange], err error) {
			if answer, err = call(ctx, a, client.ReloadConfig, &mgmtv1.ReloadConfigRequest{Node: node}); err != nil {
				return p, naming("process", node, err)
			}
			return page[*mgmtv1.ConfigChange]{rows: answer.GetChanges(), missing: answer.GetMissing()}, nil
		}, changeColumns...)
		if err != nil {
			return err
		}
		for _, r := range answer.GetRefused() {
			fmt.Fprintf(a.Err, "%s: %s\n", clean(r.GetService()), clean(r.GetReason()))
		}
		if len(answer.GetRefused()) > 0 {
			return errRefused
		}
		if len(answer.GetChanges()) > 0 || a.flags.output == "json" {
			return nil
		}
		return a.done("nothing changed for %s", strings.Join(answer.GetProcesses(), ", "))
	})
	reload.Flags().StringVar(&node, "node", "", "only this node")
	reload.Long = "Have all processes read their configuration again, as SIGHUP does. The table shows every key that differs from what is in force; one that\n" +
		"cannot change while a process runs waits for its next start. A process whose new configuration has an error keeps the old one."
	return group("config", "Configuration of the running processes: reload", nil, reload)
}

var changeColumns = []column[*mgmtv1.ConfigChange]{
	{"PROCESS", (*mgmtv1.ConfigChange).GetProcess},
	{"KEY", (*mgmtv1.ConfigChange).GetKey},
	{"FROM", (*mgmtv1.ConfigChange).GetFrom},
	{"TO", (*mgmtv1.ConfigChange).GetTo},
	{"IN FORCE", func(r *mgmtv1.ConfigChange) string {
		if r.GetHot() {
			return "now"
		}
		return "at the next start"
	}},
}
