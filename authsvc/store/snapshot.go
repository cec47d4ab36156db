package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
)

// snapshotFormat is the format of snapshots: lines of JSON, each ended by a
// line feed.
//
//	{"format":1,"seq":<last event>,"acl_seq":<last event on rules>,
//	 "file_seq":<last acl_reload>,"acl_file":"<its digest>","scram_seed":"<its key>","records":<n>}     in one line
//	<n events of the types user_put, client_put and acl_put>, in the order of
//	(tenant, name), (tenant, id), (tenant, place); their seq is 1..n
//	{"sha256":"<of all bytes before this line>"}
const snapshotFormat = 1

// SnapshotSequence returns the sequence number of the last event that a
// snapshot covers, of the header alone. Errors: ErrSnapshot, ErrVersion.
func SnapshotSequence(snapshot []byte) (uint64, error) {
	head, _, err := decodeHead(snapshot)
	return head.Seq, err
}

type snapshotHead struct {
	Format  int    `json:"format"`
	Seq     uint64 `json:"seq"`
	ACLSeq  uint64 `json:"acl_seq"`
	FileSeq uint64 `json:"file_seq,omitempty"`
	ACLFile string `json:"acl_file,omitempty"`
	Seed    string `json:"scram_seed,omitempty"`
	Records int    `json:"records"`
}

type snapshotTail struct {
	SHA256 string `json:"sha256"`
}

// Snapshot returns the whole content as of one moment, for Restore. Equal
// contents give equal bytes.
func (s *Store) Snapshot(ctx context.Context) ([]byte, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("snapshot users database: %w", classify(err))
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	b, err := snapshot(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("snapshot users database: %w", classify(err))
	}
	return b, nil
}

func snapshot(ctx context.Context, tx *sql.Tx) ([]byte, error) {
	head := snapshotHead{Format: snapshotFormat}
	err := tx.QueryRowContext(ctx, `SELECT seq, acl_seq, file_seq, acl_file, scram_seed,
		(SELECT count(*) FROM users) + (SELECT count(*) FROM clients) + (SELECT count(*) FROM acl)
		FROM meta`).Scan(&head.Seq, &head.ACLSeq, &head.FileSeq, &head.ACLFile, &head.Seed, &head.Records)
	if err != nil {
		return nil, err
	}
	w := &lineWriter{}
	w.line(head)
	if err := dump(ctx, tx, w, "SELECT tenant, "+userColumns+" FROM users ORDER BY tenant, name", func(row scanner) (Event, error) {
		u, err := scanUser(row)
		return Event{Type: UserPut, User: &u}, err
	}); err != nil {
		return nil, err
	}
	if err := dump(ctx, tx, w, "SELECT tenant, name, scheme, hash, salt, created FROM clients ORDER BY tenant, name", func(row scanner) (Event, error) {
		c, err := scanClient(row)
		return Event{Type: ClientPut, Client: &c}, err
	}); err != nil {
		return nil, err
	}
	if err := dump(ctx, tx, w, "SELECT tenant, id, allow, ipaddr, username, clientid, access, topic FROM acl ORDER BY tenant, position", func(row scanner) (Event, error) {
		r, err := scanRule(row)
		return Event{Type: ACLPut, Rule: &r}, err
	}); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(w.Bytes())
	w.line(snapshotTail{SHA256: hex.EncodeToString(sum[:])})
	return w.Bytes(), w.err
}

// lineWriter gathers lines of JSON and numbers the events among them.
type lineWriter struct {
	bytes.Buffer
	events uint64
	err    error
}

func (w *lineWriter) line(v any) {
	b, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.Write(b)
	w.WriteByte('\n')
}

// tenantRow gives a scan function the columns after the first, the tenant.
type tenantRow struct {
	rows   *sql.Rows
	tenant *string
}

func (r tenantRow) Scan(dest ...any) error { return r.rows.Scan(append([]any{r.tenant}, dest...)...) }

// dump writes an event for each row of a query whose first column is the tenant.
func dump(ctx context.Context, tx *sql.Tx, w *lineWriter, query string, event func(scanner) (Event, error)) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var tenant string
		e, err := event(tenantRow{rows, &tenant})
		if err != nil {
			return err
		}
		w.events++
		e.Version, e.Sequence, e.Tenant = Version, w.events, tenant
		w.line(e)
	}
	return rows.Err()
}

// Restore replaces the whole content by that of a snapshot, in one
// transaction. Errors (the content stays as it was): ErrSnapshot, ErrVersion,
// ErrCorrupt, the context's.
func (s *Store) Restore(ctx context.Context, snapshot []byte) error {
	head, events, err := decodeSnapshot(snapshot)
	if err != nil {
		return fmt.Errorf("restore users database: %w", err)
	}
	return s.change(ctx, func(c *change) error {
		if err := c.clear(ctx); err != nil {
			return err
		}
		for i := range events {
			if err := c.put(ctx, &events[i]); err != nil {
				return fmt.Errorf("restore users database: record %d: %w", i+1, err)
			}
		}
		c.meta = meta{seq: head.Seq, aclSeq: head.ACLSeq, fileSeq: head.FileSeq, file: head.ACLFile, seed: head.Seed}
		return nil
	})
}

// decodeSnapshot checks a snapshot from end to end before anything of it is used.
func decodeSnapshot(b []byte) (snapshotHead, []Event, error) {
	head, rest, err := decodeHead(b)
	if err != nil {
		return head, nil, err
	}
	body, err := checkSum(b, rest)
	if err != nil {
		return head, nil, err
	}
	var events []Event
	for line := range bytes.Lines(body) {
		e, err := DecodeEvent(line)
		if err != nil {
			return head, nil, fmt.Errorf("%w: record %d: %w", ErrSnapshot, len(events)+1, err)
		}
		if e.Type != UserPut && e.Type != ClientPut && e.Type != ACLPut {
			return head, nil, fmt.Errorf("%w: record %d is a %s", ErrSnapshot, len(events)+1, e.Type)
		}
		events = append(events, e)
	}
	if len(events) != head.Records {
		return head, nil, fmt.Errorf("%w: %d records, the header says %d", ErrSnapshot, len(events), head.Records)
	}
	return head, events, nil
}

// decodeHead reads the first line; rest is what follows it.
func decodeHead(b []byte) (head snapshotHead, rest []byte, err error) {
	first, rest, ok := bytes.Cut(b, []byte{'\n'})
	if !ok || json.Unmarshal(first, &head) != nil {
		return head, nil, fmt.Errorf("%w: no header", ErrSnapshot)
	}
	if head.Format != snapshotFormat {
		return head, nil, fmt.Errorf("%w: snapshot format %d", ErrVersion, head.Format)
	}
	if head.Seq > math.MaxInt64 || head.ACLSeq > head.Seq || head.FileSeq > head.ACLSeq || head.Records < 0 {
		return head, nil, fmt.Errorf("%w: impossible header", ErrSnapshot)
	}
	return head, rest, nil
}

// checkSum verifies the last line against all before it and returns the lines
// between the header and it. rest is b without the header.
func checkSum(b, rest []byte) ([]byte, error) {
	last := bytes.LastIndexByte(bytes.TrimSuffix(rest, []byte{'\n'}), '\n') + 1
	var tail snapshotTail
	if err := decodeStrict(rest[last:], &tail); err != nil {
		return nil, fmt.Errorf("%w: no check sum: %w", ErrSnapshot, err)
	}
	sum := sha256.Sum256(b[:len(b)-len(rest)+last])
	if tail.SHA256 != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("%w: check sum differs", ErrSnapshot)
	}
	return rest[:last], nil
}
