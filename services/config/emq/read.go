package emq

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// Read reads an installation of the seed and its EMQ_ variables. The path is
// emq.conf, its directory or the directory above; "" reads the variables only.
// Beside emq.conf it reads plugins/*.conf and data/loaded_plugins; acl.conf is
// only located, its path is passed on as auth.acl_file. A plugin's file takes
// effect if the plugin is loaded. The error is a config.Problems with every
// reason at once.
func Read(path string, environ []string) (config.Layer, []Notice, error) {
	p, err := locate(path)
	if err != nil {
		return config.Layer{}, nil, config.Problems{{Origin: config.Origin{Kind: config.File, Name: path}, Text: err.Error()}}
	}
	c := newConversion(p)
	layer := config.Layer{Name: "the environment"}
	if p.conf != "" {
		layer.Name = p.conf
		c.file(p.conf, c.add)
	}
	vars := c.environ(environ)
	c.add(vars)
	if p.conf != "" {
		c.plugins()
		c.implied()
		c.add(vars) // over the plugins' files, too
	}
	c.run()
	layer.Entries = c.clear(c.entries)
	return layer, c.notices, c.problems.ErrorOrNil()
}

// file reads one file and hands its settings to add.
func (c *conversion) file(path string, add func([]Setting)) {
	data, err := readFile(path)
	if err != nil {
		c.problems = append(c.problems, config.Problem{Origin: config.Origin{Kind: config.File, Name: path}, Text: err.Error()})
		return
	}
	if isTerms(data) {
		c.notices.add(path, config.Origin{Kind: config.File, Name: path}, "is written in Erlang terms, not read; write its settings as key = value")
		return
	}
	settings, problems := Parse(path, data)
	c.problems = append(c.problems, problems...)
	add(settings)
}

// plugins reads the files of the plugins; those of plugins that are not loaded
// are checked but take no effect.
func (c *conversion) plugins() {
	loaded, listed := c.loaded()
	dir := filepath.Join(c.place.etc, "plugins")
	if v := c.value("mqtt.plugins.etc_dir"); v != "" {
		dir = c.place.resolve(v)
	}
	files, _ := filepath.Glob(filepath.Join(filepath.Clean(dir), "*.conf"))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		origin := config.Origin{Kind: config.File, Name: file}
		switch {
		case !known(name):
			c.notices.add(file, origin, "belongs to no plugin of the suite, not read")
		case slices.Contains(loaded, name) || slices.Contains(loaded, renamedPlugins[name]):
			c.file(file, c.add)
		default:
			c.notices.add(file, origin, "takes no effect, because its plugin is not in data/loaded_plugins")
			c.check(file)
		}
	}
	if listed {
		c.answer(loaded)
	}
}

func known(plugin string) bool {
	_, ok := plugins[plugin]
	return ok
}

// check reads a file only for its mistakes.
func (c *conversion) check(file string) {
	dry := newConversion(c.place)
	dry.file(file, dry.add)
	dry.run()
	c.problems = append(c.problems, dry.problems...)
}

// loaded reads data/loaded_plugins; listed is false if there is none and the
// default of the seed is meant.
func (c *conversion) loaded() (names []string, listed bool) {
	file := filepath.Join(c.place.data, "loaded_plugins")
	if v := c.value("mqtt.plugins.loaded_file"); v != "" {
		file = c.place.resolve(v)
	}
	data, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return defaultPlugins, false
	}
	origin := config.Origin{Kind: config.File, Name: file}
	if err != nil {
		c.problems = append(c.problems, config.Problem{Origin: origin, Text: err.Error()})
		return nil, false
	}
	names, problems := ParseLoaded(file, data)
	c.problems = append(c.problems, problems...)
	return names, true
}

// answer says what became of each loaded plugin.
func (c *conversion) answer(loaded []string) {
	for _, name := range loaded {
		e, ok := plugins[name]
		origin := config.Origin{Kind: config.File, Name: "data/loaded_plugins"}
		switch {
		case !ok:
			c.notices.add("plugin "+name, origin, "is no plugin of the suite, not loaded; a program of your own is attached through gateway-exproto")
		case e.Owner != "":
			c.notices.add("plugin "+name, origin, waits(e.Owner))
		case e.Note != "":
			c.notices.add("plugin "+name, origin, e.Note)
		}
		if ok && e.Owner != "" && strings.HasPrefix(name, "emq_auth_") {
			c.blocked = append(c.blocked, name)
		}
	}
}

// implied adds what an emq.conf means without saying it: the shipped ACL file
// if it is there, and allow where no rule matches.
func (c *conversion) implied() {
	origin := config.Origin{Kind: config.File, Name: c.place.conf}
	if _, ok := c.settings["mqtt.acl_nomatch"]; !ok {
		c.add([]Setting{{Key: "mqtt.acl_nomatch", Value: "allow", Origin: origin}})
	}
	if _, ok := c.settings["mqtt.acl_file"]; !ok && exists(c.place.resolve("etc/acl.conf")) {
		c.add([]Setting{{Key: "mqtt.acl_file", Value: "etc/acl.conf", Origin: origin}})
	}
}

// clear puts first that the suite's own listeners go, if a file lists some.
func (c *conversion) clear(entries []config.Entry) []config.Entry {
	if !c.listed {
		return entries
	}
	own := config.Entry{Path: []string{"mqtt", "listeners"}, Clear: true, Origin: config.Origin{Kind: config.File, Name: c.place.conf}}
	return append([]config.Entry{own}, entries...)
}
