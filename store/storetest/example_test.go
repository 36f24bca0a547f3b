package storetest_test

import (
	"fmt"

	"github.com/commontrip/commontrip/store/storetest"
)

func ExampleLaws() {
	law := storetest.Laws()[0]
	fmt.Println(law.Name)
	fmt.Println(law.Why)
	// Output:
	// 1.01 deadlines are the store's clock's
	// Only the store's clock decides: a state ages and an open time runs out by it.
}
