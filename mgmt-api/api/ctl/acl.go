package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

func (a *app) aclCommand() *cobra.Command {
	all := command("list", "List the built-in rules in the order in which they are tried", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return list(c.Context(), a, 0, func(ctx context.Context, _ uint32, _ string) (page[*mgmtv1.Rule], error) {
			r, err := call(ctx, a, client.ListRules, &mgmtv1.ListRulesRequest{})
			return page[*mgmtv1.Rule]{rows: r.GetRules()}, err
		}, ruleColumns()...)
	})
	del := command("del ID", "Remove a rule", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		if _, err := call(c.Context(), a, client.DeleteRule, &mgmtv1.DeleteRuleRequest{Id: args[0]}); err != nil {
			return naming("rule", args[0], err)
		}
		return a.done("removed the rule %s", args[0])
	})
	reload := command("reload", "Read the ACL file again, on every authsvc; a broken file keeps the old rules", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		if _, err := call(c.Context(), a, client.ReloadACL, &mgmtv1.ReloadACLRequest{}); err != nil {
			return err
		}
		return a.done("the ACL file was read again")
	})
	flush := command("flush [CLIENT]", "Forget cached decisions of one client, or of all", cobra.MaximumNArgs(1), func(c *cobra.Command, args []string) error {
		r, err := call(c.Context(), a, client.FlushACLCache, &mgmtv1.FlushACLCacheRequest{Tenant: a.flags.tenant, ClientId: strings.Join(args, "")})
		if err != nil {
			return naming("connected client", strings.Join(args, ""), err)
		}
		a.note(map[string]bool{}, r.GetMissing())
		return a.done("forgot the cached decisions")
	})
	return group("acl", "Access rules: list, add, del, reload, flush", nil, all, a.addRule(), del, reload, flush)
}

func ruleColumns() []column[*mgmtv1.Rule] {
	type row = *mgmtv1.Rule
	return []column[row]{
		{"ID", row.GetId},
		{"INDEX", func(r row) string { return number(r.GetIndex()) }},
		{"RULE", func(r row) string {
			if r.GetAllow() {
				return "allow"
			}
			return "deny"
		}},
		{"WHO", func(r row) string {
			var who []string
			for _, part := range [...][2]string{{"user", r.GetUsername()}, {"client", r.GetClientId()}, {"address", r.GetCidr()}} {
				if part[1] != "" {
					who = append(who, part[0]+" "+part[1])
				}
			}
			if len(who) == 0 {
				return "everybody"
			}
			return strings.Join(who, " and ")
		}},
		{"MAY", func(r row) string { return accessNames[r.GetAccess()] }},
		{"TOPIC", row.GetTopic},
	}
}

var accessNames = map[mgmtv1.Access]string{
	mgmtv1.Access_ACCESS_SUBSCRIBE: "subscribe", mgmtv1.Access_ACCESS_PUBLISH: "publish", mgmtv1.Access_ACCESS_BOTH: "publish and subscribe",
}

func (a *app) addRule() *cobra.Command {
	r := &mgmtv1.Rule{}
	var subscribe, publish, both string
	c := command("add allow|deny", "Add a rule", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		switch args[0] {
		case "allow", "deny":
			r.Allow = args[0] == "allow"
		default:
			return misused("a rule begins with allow or deny, not %q", args[0])
		}
		if err := ruleTopic(r, subscribe, publish, both); err != nil {
			return misused("%v", err)
		}
		got, err := call(c.Context(), a, client.PutRule, &mgmtv1.PutRuleRequest{Rule: r})
		if err != nil {
			return err
		}
		if a.flags.output == "json" {
			return a.object(got.GetRule())
		}
		return a.done("added the rule %s at index %d", got.GetRule().GetId(), got.GetRule().GetIndex())
	})
	c.Long = "add adds a rule to the built-in list. The first rule that fits decides. Without a condition (--user, --client, --address) it is for everybody;\n" +
		"several conditions must all fit. A filter may have %u and %c as whole levels, and \"eq x\" means x literally."
	c.Example = "  pandoctl acl add allow --user alice --publish 'home/#'\n  pandoctl acl add deny --subscribe '$SYS/#' --index 0"
	f := c.Flags()
	f.StringVar(&r.Username, "user", "", "user name")
	f.StringVar(&r.ClientId, "client", "", "client id")
	f.StringVar(&r.Cidr, "address", "", "address or network (10.0.0.0/8)")
	f.StringVar(&subscribe, "subscribe", "", "filter of topics to subscribe to")
	f.StringVar(&publish, "publish", "", "filter of topics to publish to")
	f.StringVar(&both, "topic", "", "filter of topics for both")
	f.Int32Var(&r.Index, "index", -1, "position from 0 (-1: at the end)")
	return c
}

// ruleTopic puts the one filter that was given into the rule.
func ruleTopic(r *mgmtv1.Rule, subscribe, publish, both string) error {
	given := 0
	for _, one := range [...]struct {
		filter string
		access mgmtv1.Access
	}{{subscribe, mgmtv1.Access_ACCESS_SUBSCRIBE}, {publish, mgmtv1.Access_ACCESS_PUBLISH}, {both, mgmtv1.Access_ACCESS_BOTH}} {
		if one.filter != "" {
			given++
			r.Topic, r.Access = one.filter, one.access
		}
	}
	if given != 1 {
		return errors.New(fmt.Sprint("give one of --publish FILTER, --subscribe FILTER and --topic FILTER, not ", given))
	}
	return nil
}
