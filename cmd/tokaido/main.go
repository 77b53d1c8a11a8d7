// Command tokaido is Step Functions × Bedrock with cross-Region inference, on
// your own machines.
package main

import (
	"os"

	"tokaido/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
