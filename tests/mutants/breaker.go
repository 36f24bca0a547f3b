package main

var atBreaker = []mark{
	{"a panic is a success", "panic", Value("nil"), "TestAPanicCountsAsAFailureAndGoesOnUpWithItsValue"},
	{"a permit counts as often as it is done", "permit", Instead(), "TestAPermitCountsOnceHoweverOftenItIsDone"},

	{"an open circuit closes when the store goes", "waits", Instead(), "TestDecide"},
	{"a forced mode ends when the store goes", "forced", Instead(), "TestDecide"},
	{"a dry run refuses", "dry-run", Always(), "TestDecide"},
	{"a call goes by a decision that ends now", "lead", DropTerm(2), "TestDecide"},
	{"a ramp admits all", "ramp", Always(), "TestTheRampGrowsFromAFewCallsToAll"},

	{"a takeover is left out", "takeover", Never(), "TestTheLocalBreakerTakesOverOnceTheOpenTimeIsOverWithoutAStore"},
	{"the local breaker stays as the fleet moves", "reset", Delete(), "TestListenersHearInTheOrderOfTheSteps"},
	{"listeners hear of the fleet before what led there", "order", First(), "TestListenersHearInTheOrderOfTheSteps"},
	{"an epoch does not end", "end", Delete(), "TestAnEpochEndsWhenAGenerationMoves"},
	{"a state that began again is no gap", "gap", Never(), "TestAStateThatTheStoreBeganAgainIsAGap"},
	{"a late success counts in the present generation", "late", First(), "TestAnEpochEndsWhenAGenerationMoves"},
	{"without a store nobody rules", "alone", Never(), "TestWithoutTheStoreTheOwnVerdictRulesAndListenersHearOfIt"},
	{"a sick replica does not isolate itself", "isolated", Never(), "TestAReplicaWithABrokenNetworkToTheTierIsolatesItselfAndLeavesTheFleetAlone"},
	{"a local opening stands although it does not count", "undone", Never(), "TestAnOpeningThatDoesNotCountIsUndone"},

	{"what waits has no bound", "bound", Never(), "TestTheOldestEighthIsLostIfTooManyRunsWait"},
	{"a report is sent again under another number", "resent", First(), "TestAReportThatIsSentAgainKeepsItsNumberAndWhatItHolds"},
	{"a report is sent however old it is", "stale", Never(), "TestWhatIsTooOldIsLost"},
	{"Close tells of what was lost before", "at-close", Value("0"), "TestAClosedOutboxCountsAndTakesNothing"},

	{"the fleet state goes back", "newer", Always(), "TestNumbersOnlyGrow"},
	{"another breaker's answer is taken", "sanitize", DropTerm(1), "TestASnapshotThatCannotBeThisBreakersIsRefused"},
	{"a repair forgets the open time held", "known", Instead(), "TestWhatIsKnownIsLessTheTimeItWasHeld"},
	{"a lost push is never made up for", "differs", DropTerm(1), "TestALostPushIsNoticedAtTheNextRefresh"},
	{"a push hides the one that was lost", "missed", Never(), "TestATransitionIsDeliveredIfItIsTheNextOne"},
	{"a repair is told again and again", "repaired", Always(), "TestARepairIsToldOnce"},
	{"a history without an answer is given up", "unanswered", Delete(), "TestAHistoryThatIsNotAnsweredIsAskedForAgain"},
	{"a listener's panic ends the process", "listener", Delete(), "TestAListenerThatPanicsBlocksExitsOrCallsBackHarmsNobody"},

	{"every call claims", "in-flight", Always(), "TestOneClaimIsInFlightAtATime"},
	{"a lease that comes late is lost", "parked", Delete(), "TestAStoreSlowerThanTheClaimTimeoutStillGetsItsProbes"},
	{"a parked lease of an earlier generation is used", "parked-generation", Never(), "TestAParkedLeaseIsNotUsedInALaterGeneration"},
	{"a lease is used to its very end", "usable", Swap("9", "10"), "TestALeaseIsUsedForLessThanItLasts"},
	{"a settled probe's context ends", "settled", First(), "TestASettledProbesContextStaysAlive"},

	{"a lane has many exchanges in flight", "ready", DropTerm(1), "TestOneExchangeALaneIsInFlight"},
	{"a member that is to wait is served when it asks", "turn", Always(), "TestAMemberWhoseReportFailedWaitsForItsTurnEvenIfItAsks"},
	{"the store's wish for patience is ignored", "again", Value("0"), "TestAStoreThatAsksForPatienceIsReportedToLessOften"},
	{"a lane without members is lost", "nobody", Never(), "TestALaneWithoutMembersBeginsAgain"},
	{"Close reports nothing", "close", Value("error(nil)"), "TestCloseReportsEverythingAndIsIdempotent"},
}
