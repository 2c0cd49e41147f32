#include "harness/oracle/law.h"

#include <array>

#include "harness/base/check.h"

namespace rig {
namespace {

// A row for each law: name, door, what it demands, its canary, its dual, the preset of the canary.
constexpr std::array<LawEntry, law_count> table{{
    LawEntry{Law::c1_exactly_once, "C1", Door::app, "every pending op completes exactly once, with its own token",
             "meta.canary.c1 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/C1_c1_lost_client_0",
             "unit.oracle.op_ledger OpLedgerTest.C1DualAnOpWithoutBytesThatCompletes", ""},
    LawEntry{Law::c2_return_or_callback, "C2", Door::app, "an op has either a final return or a callback, never both",
             "meta.canary.c2 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/C2_c2_callback_too_client_0",
             "unit.oracle.op_ledger OpLedgerTest.C2DualCallbackBeforeAPendingAnswerOnAnotherThread", ""},
    LawEntry{Law::c3_nothing_after_closed, "C3", Door::app,
             "nothing is called after closed, and no byte comes or is sent before connected",
             "meta.canary.c3 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/C3_c3_data_after_closed_client_0",
             "unit.oracle.op_ledger OpLedgerTest.C3DualCallbacksBeforeClosed", ""},
    LawEntry{Law::c4_order, "C4", Door::app, "completions come in the order of issue, where the subject promises it",
             "meta.canary.c4 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/C4_c4_swapped_client_0",
             "unit.oracle.op_ledger OpLedgerTest.C4DualSendersSideBySideHaveNoOrder", ""},
    LawEntry{Law::c5_status_and_bytes, "C5", Door::app, "completed bytes are the issued bytes, with the right status",
             "meta.canary.c5 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/C5_c5_short_client_0",
             "unit.oracle.op_ledger OpLedgerTest.C5DualAFailureMaySayHowFarItCame", ""},
    LawEntry{Law::c6_quiet, "C6", Door::app, "at quiet nothing is pending, armed or owned",
             "meta.canary.c6 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/C6_c6_registration_left_client_0",
             "meta.canary.none CanaryDual.NoneIsGreen", ""},
    LawEntry{Law::c7_callbacks, "C7", Door::app,
             "callbacks come out of the loop's turn, one at a time, with no lock held",
             "meta.canary.c7 All/IntruderRun.C7_TurnsTheRunRed/C7_under_lock",
             "meta.canary.none CanaryDual.CallbacksOutOfTheTurnAreSilent", ""},
    LawEntry{Law::s1_stream, "S1", Door::app, "the bytes received are the bytes accepted, in order",
             "meta.canary.s1 OfFive/CanaryRun.TurnsTheRunRedWithItsOwnLaw/S1_s1_changed_client_0",
             "unit.oracle.stream_check StreamCheckTest.SendersSideBySideComeInEitherOrder", ""},
    LawEntry{Law::r1_resources, "R1", Door::app,
             "sessions, descriptors and ops are given back, and what is queued is bounded",
             "meta.canary.r1 All/HoarderRun.R1_TurnsTheRunRed/R1_session",
             "meta.canary.none CanaryDual.WhatIsGivenBackAndWhatIsQueuedNearTheBoundIsSilent", ""},
    LawEntry{Law::x1_outcome, "X1", Door::app,
             "clean end, truncation, reset, refusal, timeout and failed verification are told apart",
             "meta.canary.x1 All/MixUpRun.X1_TurnsTheRunRed/X1_truncation_as_end",
             "meta.canary.none CanaryDual.WhatIsToldAsItHappenedIsSilent", ""},
    LawEntry{Law::h1_nothing_left, "H1", Door::app, "a call leaves no ambient error behind",
             "meta.canary.h1 OpensslQueue.H1_AnEntryThatASendLeavesIsReported",
             "unit.openssl_door OpensslDoor.H1_IsSilentWhereTheReportWasTaken", ""},
    LawEntry{Law::h2_nothing_believed, "H2", Door::library, "an ambient error that was there before changes no outcome",
             "meta.canary.h2 LibraryDoor.H2_AReadOverThePlantedEntryIsReported",
             "meta.canary.none CanaryDual.ASessionThatIsUsedAsTheManualSaysIsSilent", ""},
    LawEntry{Law::h3_own_error, "H3", Door::library, "a failing call's own error is still there when it is asked for",
             "unit.openssl_door OpensslDoor.H3_AClearBetweenTheFailureAndTheQuestionIsReported",
             "unit.openssl_door OpensslDoor.H3_IsSilentAboutAClearAfterAWouldBlock", ""},
    LawEntry{Law::e1_retry, "E1", Door::library, "a write that waited is repeated as the library demands",
             "unit.openssl_door OpensslDoor.E1_AMovedRetryIsReportedUnlessTheSessionMayMove",
             "unit.mbedtls_door MbedtlsDoor.E1_TheSameBytesFromAnotherAddressAreSilent", ""},
    LawEntry{Law::e2_threads, "E2", Door::library, "as many threads are in a session as the library allows",
             "meta.canary.e2 LibraryDoor.E2_TwoThreadsInASessionAreReportedInTheLabWithinAFewSeeds",
             "unit.gnutls_door GnutlsDoor.E2_OneMayReceiveWhileAnotherSends", ""},
    LawEntry{Law::e3_order, "E3", Door::library,
             "no call comes after a fatal failure, no shutdown in a handshake or over a pending write",
             "meta.canary.e3 LibraryDoor.E3_AShutdownInAHandshakeIsReported",
             "unit.openssl_door OpensslDoor.E3_AReadAfterAFatalFailureIsReportedAndAFreeIsNot", ""},
    LawEntry{Law::l1_progress, "L1", Door::library, "nothing waits for input that the library holds already",
             "meta.canary.l1 LibraryDoor.L1_AWaitForInputThatTheLibraryHoldsIsReported",
             "unit.oracle.engine_monitor "
             "EngineMonitorTest.L1_IsSilentAfterAReadThatWaitsAndWhereTheLayerDoesNotWaitForInput",
             ""},
    LawEntry{Law::w1_wire, "W1", Door::kernel,
             "the wire carries whole records, nothing in the clear, and one close_notify at an orderly end",
             "meta.canary.w1 WireOfARun.W1_WhatIsInTheClearIsReportedInBothWorlds",
             "unit.oracle.wire_tap WireTap.a_sound_conversation_is_silent_however_it_is_cut", ""},
    LawEntry{Law::f1_descriptors, "F1", Door::kernel,
             "a descriptor has one owner, is closed once, and is not used after that",
             "meta.canary.f1 Trespasses/KernelDoor.ATrespassIsReportedOnceAndByItsLawAlone/F1_double_close",
             "unit.oracle.descriptor_audit "
             "DescriptorAuditTest.F1_IsSilentAboutWhatWasNeverASocketAndAboutANumberThatIsInUseAgain",
             ""},
    LawEntry{Law::p1_sigpipe, "P1", Door::kernel, "SIGPIPE never kills",
             "meta.canary.p1 Trespasses/KernelDoor.ATrespassIsReportedOnceAndByItsLawAlone/P1_raises_sigpipe",
             "unit.subjects.direct QuietPipe.a_write_in_vain_leaves_neither_a_signal_nor_a_blocked_one", ""},
    LawEntry{Law::l2_wakeups, "L2", Door::kernel,
             "a thread wakes up to do something, and each socket of a loop has its turn",
             "meta.canary.l2 Trespasses/KernelDoor.ATrespassIsReportedOnceAndByItsLawAlone/L2_ignores_room",
             "meta.canary.none CanaryDual.ADescriptorThatIsUsedAsItShouldBeIsSilent", ""},
    LawEntry{Law::l3_more, "L3", Door::kernel,
             "an op sent without `more` leaves at once, and only one with `more` may be held back",
             "meta.canary.l3 Pushes.L3_AnOpThatTheSystemMayHoldBackIsReported",
             "meta.canary.none CanaryDual.OpsThatSayThatMoreFollowsMayBeHeldBack", ""},
    LawEntry{Law::m1_memory, "M1", Door::sanitizer,
             "no memory error: no access out of bounds, after free or of nothing, no leak, no undefined operation",
             "meta.canary.m1", "unit.cli.ending Ending.what_no_sanitizer_said_breaks_no_law", "asan"},
    LawEntry{Law::t1_races, "T1", Door::sanitizer,
             "no data race: accesses to one place from two threads are ordered, or only read", "meta.canary.t1",
             "unit.cli.ending Ending.what_no_sanitizer_said_breaks_no_law", "tsan"},
}};

constexpr bool is_complete() {
  for (std::size_t i = 0; i < law_count; ++i) {
    if (table[i].law != static_cast<Law>(i) || table[i].canary.empty() || table[i].dual.empty()) {
      return false;
    }
  }
  return true;
}
static_assert(is_complete(), "each law has a row at its place, with a canary and a dual");

}  // namespace

std::span<const LawEntry> law_table() noexcept {
  return table;
}

const LawEntry& law_entry(Law law) noexcept {
  const auto place = static_cast<std::size_t>(law);
  RIG_CHECK(place < law_count);
  return table[place];
}

std::string_view law_name(Law law) noexcept {
  return law_entry(law).name;
}

std::string_view law_sentence(Law law) noexcept {
  return law_entry(law).sentence;
}

std::string_view door_name(Door door) noexcept {
  switch (door) {
    case Door::app:
      return "app";
    case Door::library:
      return "library";
    case Door::kernel:
      return "kernel";
    case Door::sanitizer:
      return "sanitizer";
  }
  RIG_CHECK(false);
}

std::optional<Law> law_from_name(std::string_view name) noexcept {
  for (const LawEntry& entry : table) {
    if (entry.name == name) {
      return entry.law;
    }
  }
  return std::nullopt;
}

}  // namespace rig
