// Package browser holds the dashboard to what a person sees: its tests drive a real Chromium. They are skipped where
// there is none, and fail where REQUIRE_CHROMIUM=1 is set. With -update they renew the screenshots in docs/img:
//
//	go test ./tests/browser -run Screenshots -update
package browser
