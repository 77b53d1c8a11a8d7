// Command demo tells the story of package story on a terminal: it starts a
// server of its own on a free loopback port with a temporary data directory,
// and fails if any step does not do what it says.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

func main() {
	binary := flag.String("tokaido", "bin/tokaido", "the tokaido binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t := &teller{colour: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""}
	if err := run(ctx, *binary, t); err != nil {
		fmt.Println(t.paint(red, "✗ "+err.Error()))
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, t *teller) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tokaido-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	server, err := harness.Start(ctx, binary, dir, story.Config)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := server.Stop(); err == nil {
			err = stopErr
		}
	}()
	fmt.Println(t.paint(bold, "Tokaido"), "at", server.Endpoint, "(a temporary one). Every step goes through the AWS APIs with the AWS SDK for Go;")
	fmt.Println("the aws commands do the same. Answers are simulated and say so; the rest is real.")
	s := story.Stage{Server: server, Tell: t}
	if err := s.Run(ctx); err != nil {
		if log := server.Log(); log != "" {
			fmt.Println(t.paint(dim, "The server's log ended:\n"+log))
		}
		return err
	}
	fmt.Printf("\n%s in %.1f s. Your own: %s\n", t.paint(green, "✓ all nine steps did what they say"), time.Since(began).Seconds(), t.paint(bold, "make run"))
	return nil
}

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	blue  = "36"
)

// teller prints the story.
type teller struct{ colour bool }

func (t *teller) paint(code, s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *teller) Step(n int, title string) {
	fmt.Printf("\n%s\n", t.paint(bold, fmt.Sprintf("%d. %s", n, title)))
}

func (t *teller) Command(line string) { fmt.Println("   " + t.paint(blue, "$ "+line)) }

func (t *teller) Say(format string, a ...any) { fmt.Printf("   "+format+"\n", a...) }

// Quote prints what the server said, diff lines in their colours.
func (t *teller) Quote(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		line = strings.TrimRight(line, "\n")
		code := dim
		switch {
		case strings.HasPrefix(line, "+"):
			code = green
		case strings.HasPrefix(line, "-"):
			code = red
		}
		fmt.Println("   " + t.paint(dim, "│") + " " + t.paint(code, line))
	}
}
