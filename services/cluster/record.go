package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// recordFormat is the format of all values written. It changes when an old reader would misread a new value; fields may be added
// without that.
const recordFormat = 1

const (
	metaKey     = "meta"
	assignerKey = "elect/assigner"
)

func nodeKey(r Role, id string) string     { return "node/" + string(r) + "/" + id }
func assignKey(s Space) string             { return "assign/" + string(s) }
func ownPrefix(s Space) string             { return "own/" + string(s) + "/" }
func ownKey(s Space, partition int) string { return ownPrefix(s) + strconv.Itoa(partition) }

// metaRecord is the value of meta.
type metaRecord struct {
	Format     int           `json:"format"`
	Partitions map[Space]int `json:"partitions"`
	Replicas   int           `json:"replicas"`
}

// nodeRecord is the value of node/<role>/<id>; role and id are in the key, the incarnation is its create revision.
type nodeRecord struct {
	Format int               `json:"format"`
	Addr   string            `json:"addr,omitempty"`
	State  string            `json:"state,omitempty"`
	Spaces []Space           `json:"spaces,omitempty"`
	Meta   map[string]string `json:"meta,omitempty"`
}

// assignRecord is the value of assign/<space>: a node id for each partition, "" for none.
type assignRecord struct {
	Format     int      `json:"format"`
	Generation uint64   `json:"generation"`
	Nodes      []string `json:"nodes"`
}

// ownRecord is the value of own/<space>/<p> and of elect/assigner; the epoch is the key's create revision.
type ownRecord struct {
	Format      int    `json:"format"`
	Role        Role   `json:"role"`
	ID          string `json:"id"`
	Addr        string `json:"addr,omitempty"`
	Incarnation uint64 `json:"incarnation"`
}

// encode renders one of the records above; they cannot fail to marshal.
func encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("cluster: record does not marshal: " + err.Error())
	}
	return b
}

func encodeNode(n Node) []byte {
	return encode(nodeRecord{Format: recordFormat, Addr: n.Addr, State: n.State, Spaces: n.Spaces, Meta: n.Meta})
}

func encodeOwner(n Node) []byte {
	return encode(ownRecord{Format: recordFormat, Role: n.Role, ID: n.ID, Addr: n.Addr, Incarnation: n.Incarnation})
}

// owned is a decoded own/<space>/<p>.
type owned struct {
	space     Space
	partition int
	owner     Owner
}

// spaceAssignment is a decoded assign/<space>.
type spaceAssignment struct {
	space Space
	assignment
}

// decodePair turns a pair into what it stands for: a Node, an owned, a spaceAssignment, a holder, a Meta. A key that this version does not know
// gives nil.
func decodePair(p pair) (any, error) {
	kind, rest, _ := strings.Cut(p.key, "/")
	switch {
	case p.key == metaKey:
		return decodeMeta(p.value)
	case p.key == assignerKey:
		o, err := decodeOwner(p)
		return holder{incarnation: o.Node.Incarnation, revision: o.Epoch}, err
	case kind == "node":
		return decodeNode(p, rest)
	case kind == "assign":
		return decodeAssignment(p, Space(rest))
	case kind == "own":
		space, number, _ := strings.Cut(rest, "/")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || strconv.Itoa(n) != number {
			return nil, fmt.Errorf("partition %q is no number", number)
		}
		o, err := decodeOwner(p)
		return owned{space: Space(space), partition: n, owner: o}, err
	}
	return nil, nil
}

func decodeMeta(value []byte) (Meta, error) {
	var r metaRecord
	if err := decodeRecord(value, &r, &r.Format); err != nil {
		return Meta{}, err
	}
	m := Meta{Partitions: r.Partitions, Replicas: r.Replicas}
	for _, s := range Spaces() {
		if m.Partitions[s] == 0 {
			return Meta{}, fmt.Errorf("no partition count of space %q", s)
		}
	}
	return m, m.validate()
}

func decodeNode(p pair, rest string) (Node, error) {
	role, id, _ := strings.Cut(rest, "/")
	if role == "" || id == "" || strings.Contains(id, "/") {
		return Node{}, fmt.Errorf("%q is not role/id", rest)
	}
	var r nodeRecord
	if err := decodeRecord(p.value, &r, &r.Format); err != nil {
		return Node{}, err
	}
	slices.Sort(r.Spaces)
	return Node{
		Role: Role(role), ID: id, Addr: r.Addr, Incarnation: p.created, State: r.State, Spaces: r.Spaces, Meta: r.Meta,
	}, nil
}

func decodeAssignment(p pair, s Space) (spaceAssignment, error) {
	var r assignRecord
	if err := decodeRecord(p.value, &r, &r.Format); err != nil {
		return spaceAssignment{}, err
	}
	return spaceAssignment{s, assignment{generation: r.Generation, nodes: r.Nodes, created: p.created, changed: p.changed}}, nil
}

func decodeOwner(p pair) (Owner, error) {
	var r ownRecord
	if err := decodeRecord(p.value, &r, &r.Format); err != nil {
		return Owner{}, err
	}
	if r.Role == "" || r.ID == "" || r.Incarnation == 0 {
		return Owner{}, errors.New("owner without role, id or incarnation")
	}
	return Owner{Node: Node{Role: r.Role, ID: r.ID, Addr: r.Addr, Incarnation: r.Incarnation}, Epoch: p.created}, nil
}

// decodeRecord unmarshals into record and checks its format field.
func decodeRecord(value []byte, record any, format *int) error {
	if err := json.Unmarshal(value, record); err != nil {
		return err
	}
	if *format != recordFormat {
		return fmt.Errorf("format %d, this version reads %d", *format, recordFormat)
	}
	return nil
}
