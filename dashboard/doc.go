// Package dashboard is the operator's page of a fleet: an http.Handler that shows every breaker of a store live and lets
// those who may give commands. HTML, CSS and JavaScript are embedded; nothing is fetched from elsewhere.
//
//	board, err := dashboard.New(fleet,
//		dashboard.WithManager(m),                         // adds this replica's own view
//		dashboard.WithHosts("breakers.example.com"),      // beside IP addresses and localhost
//		dashboard.WithOperator(func(r *http.Request) (string, error) { return whoIs(r) }),
//		dashboard.WithAudit(func(a dashboard.Audit) { slog.Info("breaker command", "audit", a) }))
//	mux.Handle("/breakers/", http.StripPrefix("/breakers", requireLogin(board)))
//	defer board.Close(ctx)                                // before the server's Shutdown, which waits for streams
//
// # What it shows
//
// The fleet's truth, as [store.Store.Read] gives it. While somebody looks, one Watch and one periodic Read a Handler
// feed all open pages, however many: a transition on any replica is on the screen within the time of a push, the numbers
// every second (or more slowly if reading takes longer: at most a tenth of the time is spent on it). With nobody
// looking nothing runs. Reading never changes a breaker. With the store away, pages keep what was last known and say so.
//
// A breaker that is not closed says why, in the words of [store.Snapshot.Explain]: what tripped it, since when, what came of it,
// what comes next, and which replicas refuse by their own verdict. Times are UTC, with the local time beside them. The rate of
// refusals is an average of ten seconds while calls are not admitted, since replicas then report that seldom.
//
// Idle breakers, which are closed and on which no replica has reported within half a minute, are listed up to a thousand. If
// there are more, they are only counted, all are read each 30 s, and those on the page each second.
//
// # Routes
//
// All below the place where it is mounted, by relative links. JSON is the store's one form ([store.Snapshot],
// [store.Transition], [store.Command]); errors are {"error": "..."}, for a policy with "field" and "range".
//
//	GET  /                                     the page
//	GET  /api/breakers                         an array of snapshots, by name
//	GET  /api/breakers/{name}                  one snapshot, with "here", this replica's view, if a Manager is given
//	GET  /api/breakers/{name}/history?limit=   transitions, newest first
//	GET  /api/breakers/{name}/roster           the replicas that report on it
//	POST /api/breakers/{name}/command          a Command as JSON; answers the snapshot after it
//	GET  /api/events                           server-sent events: hello, tick, transition
//
// A name is escaped as one segment of the path: "a/b" is a%2Fb. The names "." and "..", which no browser sends, may be
// given as ?name= to the segment "-".
//
// # Who may do what
//
// The Handler has no authentication of its own: everybody who reaches it can read, so put it behind what guards your other
// inner pages. It is read-only unless [WithOperator] says who commands; a command needs a reason, is signed with the
// name that this function gives whatever the body says, and is told to [WithAudit] whether it was carried out or refused.
//
// Against other web pages in the operator's browser: a request whose Host is not an IP address, localhost or name of
// [WithHosts] is refused (DNS rebinding), cross-origin requests to the API are refused (http.CrossOriginProtection),
// commands are POST with a JSON body only, no frame may show the page, its Content-Security-Policy allows the embedded
// files and nothing else, and text from the fleet (names, reasons, labels) is only ever set as text.
//
// Against clients that hold on: live streams are bounded ([WithMaxStreams]). An answer, or a message of a stream, that is not
// taken within 10 s ends its connection. Only a command may have a body, of at most 16 KiB, which must come within 10 s. The
// head of a request is for the server to bound, as that of [NewServer] does.
package dashboard
