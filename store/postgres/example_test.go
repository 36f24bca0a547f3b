package postgresstore_test

import (
	"fmt"

	postgresstore "github.com/commontrip/commontrip/store/postgres"
)

// Open does no I/O: a URL that is right gives a store, whether the server is there or not.
func ExampleOpen() {
	fleet, err := postgresstore.Open("postgres://app:secret@db:5432/app?sslmode=disable", postgresstore.WithPrefix("payments-prod"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close()
	fmt.Println(fleet.Info().Kind)
	// Output: postgres
}
