package emq

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// place is where an installation of the seed keeps its files.
type place struct {
	conf                      string // emq.conf; "" = only the environment is read
	root, etc, data, log, bin string
}

// locate finds the installation of a path: emq.conf itself, its directory or
// the directory above. Packages keep etc in /etc/emqttd, data in
// /var/lib/emqttd and logs in /var/log/emqttd.
func locate(path string) (place, error) {
	if path == "" {
		return under("", "etc")
	}
	info, err := os.Stat(path)
	if err != nil {
		return place{}, err
	}
	conf := path
	if info.IsDir() {
		conf = filepath.Join(path, "etc", "emq.conf")
		if !exists(conf) {
			conf = filepath.Join(path, "emq.conf")
		}
		if !exists(conf) {
			return place{}, fmt.Errorf("%s has neither etc/emq.conf nor emq.conf", path)
		}
	}
	return under(conf, filepath.Dir(conf))
}

// under makes the place of a directory etc; all its paths are absolute.
func under(conf, etc string) (place, error) {
	etc, err := filepath.Abs(etc)
	if err != nil {
		return place{}, err
	}
	root := etc
	if filepath.Base(etc) == "etc" {
		root = filepath.Dir(etc)
	}
	p := place{conf: conf, root: root, etc: etc, data: filepath.Join(root, "data"), log: filepath.Join(root, "log"), bin: filepath.Join(root, "bin")}
	if filepath.Dir(etc) == "/etc" {
		name := filepath.Base(etc)
		p.data, p.log = filepath.Join("/var/lib", name), filepath.Join("/var/log", name)
	}
	return p, nil
}

// exists reports whether something is there; an error other than "not there"
// counts as there, so that opening it says why it cannot be read.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// resolve makes a path of a value: relative ones start at the installation.
func (p place) resolve(value string) string {
	if filepath.IsAbs(value) {
		return value
	}
	first, rest, _ := strings.Cut(filepath.ToSlash(value), "/")
	switch first {
	case "etc":
		return filepath.Join(p.etc, rest)
	case "data":
		return filepath.Join(p.data, rest)
	case "log":
		return filepath.Join(p.log, rest)
	}
	return filepath.Join(p.root, value)
}

// placeholder is what the seed's packages replaced at build time.
var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z_]+)\s*\}\}`)

// substitute replaces {{ platform_etc_dir }} and the like; the seed writes
// runner_ for platform_, too.
func (p place) substitute(value string) (string, error) {
	var unknown error
	out := placeholder.ReplaceAllStringFunc(value, func(whole string) string {
		name := placeholder.FindStringSubmatch(whole)[1]
		for _, prefix := range []string{"platform_", "runner_"} {
			switch strings.TrimPrefix(name, prefix) {
			case "etc_dir":
				return p.etc
			case "data_dir":
				return p.data
			case "log_dir":
				return p.log
			case "bin_dir":
				return p.bin
			case "base_dir", "lib_dir":
				return p.root
			}
		}
		unknown = fmt.Errorf("found %s, expected {{ platform_etc_dir }}, platform_data_dir, platform_log_dir, platform_bin_dir or platform_base_dir", whole)
		return whole
	})
	return out, unknown
}

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("larger than %s", config.Size(maxFile))
	}
	return data, err
}
