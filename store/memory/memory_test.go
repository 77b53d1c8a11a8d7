package memory

import (
	"testing"

	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/principal"
	"tokaido/store/storetest"
)

func TestPrincipals(t *testing.T) {
	storetest.Principals(t, func(*testing.T) (principal.Store, func() principal.Store) {
		s := New()
		return s.Principals(), s.Principals
	})
}

func TestFlow(t *testing.T) {
	storetest.Flow(t, func(*testing.T) (flow.Store, func() flow.Store) {
		s := New()
		return s.Flow(), s.Flow
	})
}

func TestJournal(t *testing.T) {
	storetest.Journal(t, func(*testing.T) (journal.Log, func() journal.Log) {
		s := New()
		return s.Journal(), s.Journal
	})
}
