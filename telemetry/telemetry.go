// Package telemetry shows what the server does to those who watch it: metrics
// in Prometheus' form, and traces over OTLP. It only observes: rooms below
// declare what they tell, and nothing here changes what they do.
package telemetry
