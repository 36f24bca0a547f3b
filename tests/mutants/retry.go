package main

var atRetry = []mark{
	{"an attempt too many", "attempts", Swap(">=", ">"), "TestExhaustedErrorTellsAttemptsElapsedCauseAndLastError"},
	{"nobody waits as long as an error asks", "wait", Arg(2), "TestWaitIsTheLargerOfBackoffAndRetryAfter"},
	{"a wait is begun that does not fit", "left", DropTerm(2), "TestABackoffThatDoesNotFitIsNotBegun"},
	{"a wait that just fits is not begun", "left", Swap(">", ">="), "TestABackoffThatJustFitsIsWaited"},
	{"no budget is asked", "budget", Never(), "TestSpentBudgetSuppressesOnlyTheExtraAttempt"},
	{"calls pay for one extra attempt too few", "earned", Swap("<=", "<"), "TestCallsThatSucceedPayForThoseThatFail"},
	{"the clock's last token is not given", "clock", Swap("<", "<="), "TestClockThatGoesBackNeitherGivesNorTakes"},
}
