package flow_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/fault"
	"tokaido/flow"
	"tokaido/store/memory"
)

// A page's token is good for the same call, for a day.
func TestPageTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		defer p.close(t)
		for i := range 3 {
			if _, err := p.CreateStateMachine(t.Context(), create(fmt.Sprint("m", i), pass)); err != nil {
				t.Fatal(err)
			}
			if _, err := p.CreateActivity(t.Context(), scope, fmt.Sprint("a", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		first, err := p.ListStateMachines(t.Context(), scope, flow.Page{Max: 2})
		if err != nil || len(first.Items) != 2 || first.Next == "" {
			t.Fatal(len(first.Items), err)
		}
		next := flow.Page{Max: 2, Token: first.Next}
		if _, err := p.ListActivities(t.Context(), scope, next); fault.Code(err) != "InvalidToken" {
			t.Errorf("another call takes the token: %v", err)
		}
		if _, err := p.ListStateMachines(t.Context(), flow.Scope{Region: "us-west-2", Account: scope.Account}, next); fault.Code(err) != "InvalidToken" {
			t.Errorf("another Region takes the token: %v", err)
		}
		for _, bad := range []string{"x", "!", "e30", first.Next + "x"} {
			if _, err := p.ListStateMachines(t.Context(), scope, flow.Page{Token: bad}); fault.Code(err) != "InvalidToken" {
				t.Errorf("%q: %v", bad, err)
			}
		}
		time.Sleep(24*time.Hour - time.Minute)
		if l, err := p.ListStateMachines(t.Context(), scope, next); err != nil || len(l.Items) != 1 || l.Next != "" {
			t.Error(len(l.Items), l.Next, err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := p.ListStateMachines(t.Context(), scope, next); fault.Code(err) != "InvalidToken" {
			t.Errorf("after a day: %v", err)
		}
	})
}

// GetActivityTask waits for a minute.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		defer p.close(t)
		a, err := p.CreateActivity(t.Context(), scope, "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, ok, err := p.GetActivityTask(t.Context(), a.ARN, "w"); ok || err != nil || time.Since(begun) != time.Minute {
			t.Errorf("%v %v after %v", ok, err, time.Since(begun))
		}
	})
}
