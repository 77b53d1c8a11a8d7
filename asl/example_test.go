package asl_test

import (
	"fmt"

	"tokaido/asl"
	"tokaido/value"
)

func ExampleParse() {
	_, diagnostics := asl.Parse([]byte(`{"StartAt":"Ask","States":{
		"Ask":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body.$":"body"},"Next":"Tell"},
		"Idle":{"Type":"Wait","Seconds":-1,"End":true}}}`))
	for _, d := range diagnostics {
		fmt.Println(d)
	}
	// Output:
	// SCHEMA_VALIDATION_FAILED: The value for the field 'Body.$' must be a valid JSONPath or a valid intrinsic function call at /States/Ask/Parameters
	// SCHEMA_VALIDATION_FAILED: Minimum value is 0 at /States/Idle/Seconds
	// MISSING_TRANSITION_TARGET: Missing 'Next' target: Tell at /States/Ask/Next
	// MISSING_TRANSITION_TARGET: State "Idle" is not reachable. at /States/Idle
}

func ExampleField_Eval() {
	program, _ := asl.Parse([]byte(`{"StartAt":"Greet","States":{"Greet":{"Type":"Pass","Parameters":{"text.$":"States.Format('Hello {}', $.name)"},"End":true}}}`))
	greet := program.State("Greet")
	fmt.Println(greet.Parameters.Eval(&asl.Scope{Input: value.MustParse(`{"name":"Edo"}`)}))
	_, failure := greet.Parameters.Eval(&asl.Scope{Input: value.MustParse(`{}`)})
	fmt.Println(failure.Error, failure.Cause)
	// Output:
	// {"text":"Hello Edo"} <nil>
	// States.Runtime The function 'States.Format('Hello {}', $.name)' had the following error: The JsonPath argument for the field '$.name' could not be found in the input '{}'
}
