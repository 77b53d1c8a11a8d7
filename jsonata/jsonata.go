// Package jsonata is the JSONata query and transformation language: an
// expression is parsed and compiled once, and evaluated any number of times,
// from any number of goroutines, over documents that stay as they are.
//
// It refuses to run away: every evaluation has a [Budget] of steps, depth,
// sequence length, string length and memory, and ends with an [Error] when one
// is spent. It does no I/O and reads no clock; what $now, $random and $uuid
// give out comes in through [Env].
//
// Two dialects exist. [Plain] is the language of the reference implementation.
// [States] is what AWS Step Functions makes of it: $eval is not there, and
// $partition, $range, $hash, $uuid, $parse and a seed for $random are.
package jsonata

import (
	"errors"
	"time"

	"tokaido/value"
)

// Dialect chooses the functions and the limits of the language.
type Dialect uint8

const (
	// Plain is JSONata as its reference implementation has it.
	Plain Dialect = iota
	// States is JSONata as AWS Step Functions has it.
	States
)

// Env is what one evaluation sees of the world. Every field may be left out.
type Env struct {
	// Input is $ and $$; Undefined if there is none.
	Input value.Value
	// Var returns the variable called name (without the $) when the expression
	// reads one that it has not bound itself; ok is false if there is none.
	// It is asked when a name is first used, functions' names too: a variable
	// hides a function.
	Var func(name string) (v value.Value, ok bool)
	// Now is what $now and $millis tell, the same throughout.
	Now time.Time
	// Rand returns 64 random bits; $random, $shuffle and $uuid need it.
	Rand func() uint64
	// Budget bounds the evaluation; a zero field takes the dialect's default.
	Budget Budget
	// Expired, if set, is asked now and then whether to give up.
	Expired func() bool
}

// Budget bounds one evaluation. A field that is zero takes the default of the
// dialect: see [DefaultBudget].
type Budget struct {
	Steps  int // nodes of the expression evaluated, and items visited by functions
	Depth  int // nodes nested in one another, through calls too
	Items  int // items of one sequence
	Bytes  int // bytes of one string
	Memory int // bytes given to values made during the evaluation, freed or not
}

// Limits of an expression's text.
const (
	// MaxSource is the longest expression, in bytes.
	MaxSource = 1 << 20
	// MaxNesting is how deep an expression may nest.
	MaxNesting = 3000
)

// Default limits of [Plain].
const (
	DefaultSteps  = 100_000_000
	DefaultDepth  = 10_000
	DefaultItems  = 10_000_000 // the language's own limit for a range
	DefaultBytes  = 64 << 20
	DefaultMemory = 512 << 20
)

// Limits of [States]. AWS refuses [1..873783] and accepts one less, refuses a
// string of 2^23 characters and accepts one of 2^22, and refuses a sum of 200
// terms for its depth.
const (
	StatesSteps  = 50_000_000
	StatesDepth  = 199
	StatesItems  = 873_782
	StatesBytes  = 5 << 20
	StatesMemory = 256 << 20
)

// DefaultBudget returns the limits that d has when [Env] says nothing.
func DefaultBudget(d Dialect) Budget {
	if d == States {
		return Budget{Steps: StatesSteps, Depth: StatesDepth, Items: StatesItems, Bytes: StatesBytes, Memory: StatesMemory}
	}
	return Budget{Steps: DefaultSteps, Depth: DefaultDepth, Items: DefaultItems, Bytes: DefaultBytes, Memory: DefaultMemory}
}

// ErrFunction is returned by Eval when the result is a function, or holds one
// where JSON has no place for it.
var ErrFunction = errors.New("the result is a function")

// Error is what is wrong with an expression, or with an evaluation.
type Error struct {
	Code     string      // the reference's code, as T1006; "" for a limit in the States dialect
	Position int         // in the source, in UTF-16 units as the reference counts; 0 if it has none
	Token    string      // the name or operator concerned
	Value    value.Value // the value concerned, if any
	Value2   value.Value // a second one, if any
	Index    int         // of the argument concerned, from 1; 0 if none
	Function string      // the function concerned, for codes that name it
	Message  string      // a sentence, without the code
	Limit    Limit       // which limit was met, if it was one
	Internal bool        // AWS says only that the error is an internal one

	wanted string // the type of array that T0412 misses
	other  string // the exponent of D3061
}

// Limit names a limit that ended an evaluation.
type Limit uint8

const (
	NoLimit     Limit = 0
	LimitTime   Limit = 1 << (iota - 1) // Steps, or Expired
	LimitDepth                          // Depth
	LimitMemory                         // Items, Bytes or Memory
)

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

// Ref is one use, in an expression, of something that it does not bind itself.
type Ref struct {
	Kind     RefKind
	Name     string   // of the variable without $, or of the field
	Path     []string // the fields read of it directly, as far as they are plain names
	Position int      // in the source, in UTF-16 units
	Lambda   bool     // within the body of a function that the expression defines
}

// RefKind says what a Ref refers to.
type RefKind uint8

const (
	RefVariable RefKind = iota // $name, not bound by the expression and not a function of the dialect
	RefField                   // a bare name, * or ** read from the input of the expression
	RefInput                   // $ where it is the input of the expression
	RefRoot                    // $$
)
