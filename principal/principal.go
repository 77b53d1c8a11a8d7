// Package principal knows who exists: accounts, users, roles, access keys and
// sessions, and the policies that bind them. It hands out Principals; it
// decides nothing (iam) and records nothing (trail).
package principal
