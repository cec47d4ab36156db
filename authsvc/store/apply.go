package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/pando-mq/pando/authsvc/hash"
)

// meta is what is committed with the changes it describes.
type meta struct {
	seq     uint64 // of the last event
	aclSeq  uint64 // of the last one that makes compiled rules stale
	fileSeq uint64 // of the last acl_reload
	file    string // its digest
	seed    string // Key of the first scram_seed; "" if there was none
	tip     string // Digest of the event seq; "" if that came with a snapshot
}

// userColumns are those that scanUser reads.
const userColumns = "name, scheme, hash, salt, superuser, created, scram"

const metaColumns = "seq, acl_seq, file_seq, acl_file, scram_seed, tip"

func (m *meta) scan(row scanner) error {
	return row.Scan(&m.seq, &m.aclSeq, &m.fileSeq, &m.file, &m.seed, &m.tip)
}

// writes are the prepared statements of the one writing connection.
type writes struct {
	userPut, userDel, clientPut, clientDel, aclPut, aclDel, aclIDs, aclMove, setMeta *sql.Stmt
}

// prepare compiles every statement once.
func (s *Store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		db   *sql.DB
		stmt **sql.Stmt
		text string
	}{
		{s.write, &s.w.userPut, "INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{s.write, &s.w.userDel, "DELETE FROM users WHERE tenant = ? AND name = ?"},
		{s.write, &s.w.clientPut, "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, ?, ?)"},
		{s.write, &s.w.clientDel, "DELETE FROM clients WHERE tenant = ? AND name = ?"},
		{s.write, &s.w.aclPut, `INSERT INTO acl VALUES (?1, ?2, (SELECT coalesce(max(position), 0) + 1 FROM acl WHERE tenant = ?1), ?3, ?4, ?5, ?6, ?7, ?8)
			ON CONFLICT (tenant, id) DO UPDATE SET allow = ?3, ipaddr = ?4, username = ?5, clientid = ?6, access = ?7, topic = ?8`},
		{s.write, &s.w.aclDel, "DELETE FROM acl WHERE tenant = ? AND id = ?"},
		{s.write, &s.w.aclIDs, "SELECT id FROM acl WHERE tenant = ? ORDER BY position"},
		{s.write, &s.w.aclMove, "UPDATE acl SET position = ? WHERE tenant = ? AND id = ?"},
		{s.write, &s.w.setMeta, "UPDATE meta SET seq = ?, acl_seq = ?, file_seq = ?, acl_file = ?, scram_seed = ?, tip = ?"},
		{s.read, &s.r.empty, "SELECT NOT EXISTS (SELECT 1 FROM users) AND NOT EXISTS (SELECT 1 FROM clients)"},
		{s.read, &s.r.user, "SELECT " + userColumns + " FROM users WHERE tenant = ? AND name = ?"},
		{s.read, &s.r.users, "SELECT " + userColumns + " FROM users WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?"},
		{s.read, &s.r.client, "SELECT name, scheme, hash, salt, created FROM clients WHERE tenant = ? AND name = ?"},
		{s.read, &s.r.clients, "SELECT name, scheme, hash, salt, created FROM clients WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?"},
		{s.read, &s.r.rules, `SELECT id, allow, ipaddr, username, clientid, access, topic FROM acl
			WHERE tenant = ?1 AND position > coalesce((SELECT position FROM acl WHERE tenant = ?1 AND id = ?2), 0) ORDER BY position LIMIT ?3`},
	} {
		stmt, err := p.db.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

// Apply applies events in one transaction: all of them or, with an error, none.
// Those at or below Applied are skipped; the others must follow it without a
// gap. Errors: ErrInvalid, ErrVersion, ErrGap, ErrCorrupt, the context's.
func (s *Store) Apply(ctx context.Context, events ...Event) error {
	for i := range events {
		if err := events[i].Validate(); err != nil {
			return fmt.Errorf("apply event %d: %w", events[i].Sequence, err)
		}
	}
	return s.change(ctx, func(c *change) error {
		before := c.seq
		for i := range events {
			if err := c.apply(ctx, &events[i]); err != nil {
				return fmt.Errorf("apply event %d: %w", events[i].Sequence, err)
			}
		}
		if c.seq == before {
			return nil
		}
		var err error
		c.tip, err = events[len(events)-1].Digest()
		return err
	})
}

// Reset empties the projection; Applied becomes 0.
func (s *Store) Reset(ctx context.Context) error {
	return s.change(ctx, func(c *change) error { return c.clear(ctx) })
}

// change is a transaction under way.
type change struct {
	tx *sql.Tx
	w  *writes
	meta
}

// change runs f in a transaction that also commits the counters.
func (s *Store) change(ctx context.Context, f func(*change) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	c := &change{tx: tx, w: &s.w}
	if err := c.scan(tx.QueryRowContext(ctx, "SELECT "+metaColumns+" FROM meta")); err != nil {
		return classify(err)
	}
	if err := f(c); err != nil {
		return classify(err)
	}
	if err := c.exec(ctx, s.w.setMeta, int64(c.seq), int64(c.aclSeq), int64(c.fileSeq), c.file, c.seed, c.tip); err != nil {
		return classify(err)
	}
	if err := tx.Commit(); err != nil {
		return classify(err)
	}
	committed := c.meta
	s.meta.Store(&committed)
	return nil
}

func (c *change) exec(ctx context.Context, stmt *sql.Stmt, args ...any) error {
	_, err := c.tx.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	return err
}

// apply applies one valid event in its turn.
func (c *change) apply(ctx context.Context, e *Event) error {
	switch {
	case e.Sequence <= c.seq:
		return nil
	case e.Sequence != c.seq+1:
		return fmt.Errorf("%w: the last one was %d", ErrGap, c.seq)
	}
	if err := c.put(ctx, e); err != nil {
		return err
	}
	c.seq = e.Sequence
	switch e.Type {
	case ACLReload:
		c.fileSeq, c.file = e.Sequence, e.Key
		c.aclSeq = e.Sequence
	case ACLPut, ACLDel, ACLOrder:
		c.aclSeq = e.Sequence
	case SCRAMSeed:
		if c.seed == "" {
			c.seed = e.Key
		}
	}
	return nil
}

// put makes the change of an event.
func (c *change) put(ctx context.Context, e *Event) error {
	switch e.Type {
	case UserPut:
		return c.putUser(ctx, e.Tenant, e.User)
	case UserDel:
		return c.exec(ctx, c.w.userDel, e.Tenant, e.Key)
	case ClientPut:
		k := e.Client
		return c.exec(ctx, c.w.clientPut, e.Tenant, k.ID, k.Password.Scheme.String(), k.Password.Hash, salt(k.Password), k.Created.UnixMilli())
	case ClientDel:
		return c.exec(ctx, c.w.clientDel, e.Tenant, e.Key)
	case ACLPut:
		r := e.Rule
		return c.exec(ctx, c.w.aclPut, e.Tenant, r.ID, r.Allow, r.IPAddr, r.Username, r.ClientID, int64(r.Access), r.Topic)
	case ACLDel:
		return c.exec(ctx, c.w.aclDel, e.Tenant, e.Key)
	case ACLOrder:
		return c.order(ctx, e.Tenant, e.Order)
	case ACLReload, SCRAMSeed:
		return nil
	}
	return ErrInvalid
}

func (c *change) putUser(ctx context.Context, tenant string, u *User) error {
	keys := []byte{}
	if len(u.SCRAM) > 0 {
		var err error
		if keys, err = json.Marshal(u.SCRAM); err != nil {
			return err
		}
	}
	return c.exec(ctx, c.w.userPut, tenant, u.Name, u.Password.Scheme.String(), u.Password.Hash, salt(u.Password), u.Superuser, u.Created.UnixMilli(), keys)
}

// salt returns the salt as a value that is never NULL.
func salt(s hash.Stored) []byte { return append([]byte{}, s.Salt...) }

// order renumbers the rules of a tenant: those in ids first, then the others
// as they were. Unknown ids are passed over.
func (c *change) order(ctx context.Context, tenant string, ids []string) error {
	present, err := c.ruleIDs(ctx, tenant)
	if err != nil {
		return err
	}
	rest := make(map[string]bool, len(present))
	for _, id := range present {
		rest[id] = true
	}
	next := make([]string, 0, len(present))
	for _, id := range ids {
		if rest[id] {
			next = append(next, id)
			delete(rest, id)
		}
	}
	for _, id := range present {
		if rest[id] {
			next = append(next, id)
		}
	}
	for i, id := range next {
		if err := c.exec(ctx, c.w.aclMove, i+1, tenant, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) ruleIDs(ctx context.Context, tenant string) ([]string, error) {
	rows, err := c.tx.StmtContext(ctx, c.w.aclIDs).QueryContext(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// clear deletes everything, the counters included.
func (c *change) clear(ctx context.Context) error {
	c.meta = meta{}
	_, err := c.tx.ExecContext(ctx, "DELETE FROM users; DELETE FROM clients; DELETE FROM acl;")
	return err
}
