package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func Example() {
	fleet := memorystore.New()
	defer fleet.Close()
	fleet.Sync(context.Background(), []store.Report{{Name: "card-network", Replica: "web-1#a1", Seq: 1}})

	board, err := dashboard.New(fleet,
		dashboard.WithOperator(func(r *http.Request) (string, error) { return r.Header.Get("X-User"), nil }),
		dashboard.WithAudit(func(a dashboard.Audit) {
			fmt.Fprintln(os.Stdout, a.Command.By, a.Command.Action, a.Command.Name, a.Status)
		}))
	if err != nil {
		panic(err)
	}
	defer board.Close(context.Background())
	server := httptest.NewServer(http.StripPrefix("/breakers", board))
	defer server.Close()

	fmt.Println(command(server.URL+"/breakers/api/breakers/card-network/command", `{"action":"force-open","for_ms":1800000,"why":"INC-42"}`))
	// Output:
	// oncall force-open card-network 200
	// forced-open by oncall
}

// command posts a command as the user oncall, and tells what the breaker's mode is after it.
func command(address, body string) string {
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, address, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-User", "oncall")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var after store.Snapshot
	if err := json.NewDecoder(response.Body).Decode(&after); err != nil {
		return err.Error()
	}
	return after.Mode.String() + " by " + after.ModeNote.By
}
