package emq

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// etcd takes the servers only if the old cluster was found through them.
func (c *conversion) etcd(m match) {
	if c.value("cluster.discovery") != "etcd" {
		c.notices.add(m.Key, m.Origin, "not taken, because cluster.discovery is not etcd; see cluster.etcd.endpoints")
		return
	}
	c.set(m, strings.Split(m.entry.To, "."), words)
}

// logFile takes the console's file if the console was written to one.
func (c *conversion) logFile(m match) {
	if to := c.value("log.console"); to != "file" && to != "both" {
		c.notices.add(m.Key, m.Origin, "not taken, because log.console is neither file nor both; see log.file")
		return
	}
	c.put(m, strings.Split(m.entry.To, "."), c.place.resolve(m.Value))
}

// anonymous takes the explicit wish, unless a backend that is to authenticate
// is not there yet: then nobody gets in who would have been asked for a
// password.
func (c *conversion) anonymous(m match) {
	value, err := flag(m.Value)
	if err != nil {
		c.refuse(m.Setting, "found %q, expected %v", clip(m.Value), err)
		return
	}
	if value == true && len(c.blocked) > 0 {
		c.notices.add(m.Key, m.Origin, fmt.Sprintf("not taken while %s cannot authenticate yet, clients without a built-in user are refused; see auth.allow_anonymous", strings.Join(c.blocked, ", ")))
		value = false
	}
	c.put(m, strings.Split(m.entry.To, "."), value)
}

// strategies are the names of the seed's later versions for ways to choose a member of a shared subscription.
var strategies = map[string]string{
	"random": "random", "round_robin": "round_robin", "round_robin_per_group": "round_robin", "sticky": "sticky",
	"hash": "hash_clientid", "hash_clientid": "hash_clientid", "hash_topic": "hash_topic", "local": "local",
}

// strategy sets the one key of the seed in both places: groups of clean sessions are the routers' affair, others that of session-stores.
func (c *conversion) strategy(m match) {
	to, ok := strategies[m.Value]
	if !ok {
		c.refuse(m.Setting, "found %q, expected random, round_robin, sticky, hash, hash_clientid, hash_topic or local", clip(m.Value))
		return
	}
	for key := range strings.FieldsSeq(m.entry.To) {
		c.put(m, strings.Split(key, "."), to)
	}
}

// nomatch takes allow and says that the suite's own default is the opposite.
func (c *conversion) nomatch(m match) {
	switch {
	case m.Value == "allow" && m.Origin.Kind == config.File && m.Origin.Line == 0:
		c.notices.add(m.Key, m.Origin, "allow, because an emq.conf is read that does not say otherwise; the suite's own default is deny, see auth.acl_nomatch")
	case m.Value == "allow":
		c.notices.add(m.Key, m.Origin, "allow, as given; the suite's own default is deny, see auth.acl_nomatch")
	}
	c.set(m, strings.Split(m.entry.To, "."), oneOf("allow", "deny"))
}

// aclFile passes the path on. The shipped one may be missing: then
// acl_nomatch decides alone.
func (c *conversion) aclFile(m match) {
	path := c.place.resolve(m.Value)
	if !exists(path) && path == c.place.resolve("etc/acl.conf") {
		c.notices.add(m.Key, m.Origin, path+" is not there, so there are no rules; see auth.acl_file and auth.acl_nomatch")
		return
	}
	c.put(m, strings.Split(m.entry.To, "."), path)
}

// certificate passes the path on. The shipped pair may be missing: then the
// certificate of the first start is used.
func (c *conversion) certificate(m match) {
	path := c.place.resolve(m.Value)
	pair := []string{c.place.resolve("etc/certs/key.pem"), c.place.resolve("etc/certs/cert.pem")}
	if slices.Contains(pair, path) && !exists(pair[0]) && !exists(pair[1]) {
		c.notices.add(m.Key, m.Origin, "there is no certificate in "+filepath.Dir(path)+", the one made at the first start is used; see mqtt.listeners.<name>.tls.certfile")
		return
	}
	c.put(m, c.target(m, m.entry.To), path)
}

// pluginPlace answers for keys that are used while reading.
func (c *conversion) pluginPlace(m match) {
	c.notices.add(m.Key, m.Origin, "read at start from "+c.place.resolve(m.Value))
}

// user gathers auth.user.<n>.username and .password.
func (c *conversion) user(m match) { c.gather(m, "username", m.path[2], m.path[3]) }

// client gathers auth.client.<n>.clientid and .password.
func (c *conversion) client(m match) { c.gather(m, "clientid", m.path[2], m.path[3]) }

// namedUser is auth.username.<name> = password.
func (c *conversion) namedUser(m match) {
	a := c.account(m, "username", "name "+m.path[2])
	a.name, a.password = m.path[2], m.Value
}

func (c *conversion) gather(m match, word, n, option string) {
	a := c.account(m, word, n)
	if option == word {
		a.name = m.Value
	} else {
		a.password = m.Value
	}
}

// account finds or makes the account with a key.
func (c *conversion) account(m match, word, key string) *account {
	for _, a := range c.accounts {
		if a.word == word && a.key == key {
			return a
		}
	}
	a := &account{list: m.entry.To, key: key, word: word, match: m}
	c.accounts = append(c.accounts, a)
	return a
}

// finishAccounts writes the complete accounts as lists.
func (c *conversion) finishAccounts() {
	lists := make(map[string][]any)
	first := make(map[string]config.Origin)
	var order []string
	for _, a := range c.accounts {
		if a.name == "" || a.password == "" {
			c.notices.add(a.match.Key, a.match.Origin, "not taken, because "+a.word+" or password is missing")
			continue
		}
		if slices.Contains(examplePasswords, a.password) {
			c.notices.add(a.match.Key, a.match.Origin, "the password is an example of the manual and known to everybody, change it")
		}
		if lists[a.list] == nil {
			order = append(order, a.list)
			first[a.list] = a.match.Origin
		}
		lists[a.list] = append(lists[a.list], map[string]any{a.word: a.name, "password": a.password})
	}
	for _, list := range order {
		c.entries = append(c.entries, config.Entry{Path: strings.Split(list, "."), Value: lists[list], Origin: first[list]})
	}
}

// examplePasswords stand in the seed's files.
var examplePasswords = []string{"public", "passwd", "passwd2", "passwd3"}
