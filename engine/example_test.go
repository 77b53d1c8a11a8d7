package engine_test

import (
	"fmt"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/value"
)

// A driver in a dozen lines: it keeps the events, performs the effects and
// feeds back what came of them.
func Example() {
	prog, _ := asl.Parse([]byte(`{"StartAt":"Ask","States":{
		"Ask":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:ask","Next":"Nap"},
		"Nap":{"Type":"Wait","Seconds":60,"End":true}}}`))
	x := engine.New(engine.Config{Program: prog, Limits: engine.StandardLimits()})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	todo := []engine.Input{engine.Start{Input: value.MustParse(`"Tokyo"`)}}
	for x.Status() == engine.Running {
		batch, err := x.Step(now, todo[0])
		if err != nil {
			fmt.Println(err)
			return
		}
		todo = todo[1:]
		for i := range batch.Events { // to durable storage, then:
			fmt.Println(batch.Events[i].ID, batch.Events[i].Type)
		}
		for _, e := range batch.Effects {
			switch e := e.(type) {
			case engine.Invoke:
				todo = append(todo, engine.TaskDone{Task: e.Task, Output: value.String("Osaka")})
			case engine.Sleep:
				if e.Until.Before(now.Add(time.Hour)) { // the other one is the execution's own time limit
					now = e.Until
					todo = append(todo, engine.TimerFired{Timer: e.Timer})
				}
			case engine.Finish:
				fmt.Println(e.Status, e.Output)
			}
		}
	}
	// Output:
	// 1 ExecutionStarted
	// 2 TaskStateEntered
	// 3 LambdaFunctionScheduled
	// 4 LambdaFunctionStarted
	// 5 LambdaFunctionSucceeded
	// 6 TaskStateExited
	// 7 WaitStateEntered
	// 0 WaitScheduled
	// 8 WaitStateExited
	// 9 ExecutionSucceeded
	// SUCCEEDED "Osaka"
}
