// H1, H2 and H3 at the library door: each with the defect that it must report and the neighbour that it must let pass.
#include "harness/oracle/library_hygiene.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "harness/oracle/tests/door_events.h"

namespace rig {
namespace {

using namespace test;

constexpr DoorEntry own_entry{.number = 7, .identity = 7};
constexpr DoorEntry older_entry{.number = 3, .identity = 3};

class LibraryHygieneTest : public testing::Test {
 protected:
  LibraryHygieneTest() {
    register_fake_door(TlsLibrary::openssl);
    fake_queue = {};
  }

  // call leaves the queue as `after`.
  void call(DoorVerb verb, const char* function, DoorOutcome outcome, const DoorEntry& after, bool nested = false) {
    DoorCall made{.verb = verb, .function = function, .caller = at(++site_), .nested = nested, .before = fake_queue};
    const bool about_queue = verb == DoorVerb::clear || verb == DoorVerb::take || verb == DoorVerb::push;
    made.session = about_queue ? nullptr : at(1);
    hygiene_.entering(made);
    fake_queue = after;
    hygiene_.left(made, {.outcome = outcome, .after = after});
  }
  void read(DoorOutcome outcome, const DoorEntry& after) { call(DoorVerb::read, "SSL_read", outcome, after); }
  void classify(DoorOutcome answer) { call(DoorVerb::classify, "SSL_get_error", answer, fake_queue); }
  void clear() { call(DoorVerb::clear, "ERR_clear_error", DoorOutcome::done, {}); }

  std::string message() const { return log_.kept().empty() ? "" : log_.kept().front().message; }

  ViolationLog log_;
  LibraryHygiene hygiene_{log_, false};
  std::uintptr_t site_ = 100;
};

TEST_F(LibraryHygieneTest, H1_AnEntryThatIsLeftWhenTheThreadWaitsIsReportedOnceWithTheCallThatLeftIt) {
  read(DoorOutcome::fatal, own_entry);
  classify(DoorOutcome::fatal);
  EXPECT_EQ(laws(log_), "") << "the layer may still clear up";
  hygiene_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "H1");
  EXPECT_EQ(message().find("SSL_read left an entry in the error queue, found at poll: entry 7; left in "), 0u)
      << message();
  EXPECT_EQ(log_.kept().front().where, "OpenSSL, thread 0");
  hygiene_.waiting(wait(0));
  EXPECT_EQ(log_.count(), 1u);
  EXPECT_EQ(fake_queue, own_entry) << "the program is not changed";
}

TEST_F(LibraryHygieneTest, H1_IsSilentAboutWhatIsClearedBeforeTheWaitAndAboutAWaitThatDoesNotBlock) {
  read(DoorOutcome::fatal, own_entry);
  hygiene_.waiting(wait(0, false));
  classify(DoorOutcome::fatal);
  clear();
  hygiene_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(LibraryHygieneTest, H1_ACallThatSucceedsAndLeavesAnEntryIsBlamed) {
  call(DoorVerb::shutdown, "SSL_shutdown", DoorOutcome::done, own_entry);
  hygiene_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "H1");
  EXPECT_EQ(message().find("SSL_shutdown left"), 0u) << message();
}

TEST_F(LibraryHygieneTest, H1_AnEntryOfACallThatTheDoorDoesNotKnowIsReportedAsThat) {
  call(DoorVerb::push, "ERR_new", DoorOutcome::done, own_entry);
  hygiene_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "H1");
  EXPECT_EQ(message().find("a call outside of the door left"), 0u) << message();
}

TEST_F(LibraryHygieneTest, H2_AWouldBlockThatAnOlderEntryTurnsIntoAFailureIsReported) {
  call(DoorVerb::shutdown, "SSL_shutdown", DoorOutcome::done, older_entry);
  read(DoorOutcome::want_read, older_entry);
  classify(DoorOutcome::fatal);
  EXPECT_EQ(laws(log_), "H2");
  EXPECT_EQ(message().find("SSL_read waits for input, and SSL_get_error calls that a failure because of an older entry "
                           "(left by SSL_shutdown in "),
            0u)
      << message();
}

TEST_F(LibraryHygieneTest, H2_TheEndThatAnOlderEntryHidesIsReported) {
  fake_queue = older_entry;
  read(DoorOutcome::end, older_entry);
  classify(DoorOutcome::fatal);
  EXPECT_EQ(laws(log_), "H2");
}

TEST_F(LibraryHygieneTest, H2_IsSilentWhereTheQueueIsClearedBeforeTheCallAndWhereTheFailureIsReal) {
  fake_queue = older_entry;
  clear();
  read(DoorOutcome::want_read, {});
  classify(DoorOutcome::want_read);
  fake_queue = older_entry;
  read(DoorOutcome::fatal, own_entry);
  classify(DoorOutcome::fatal);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(LibraryHygieneTest, H2_IsSilentAboutAnOlderEntryThatNobodyAsksAbout) {
  fake_queue = older_entry;
  read(DoorOutcome::done, older_entry);
  read(DoorOutcome::want_read, older_entry);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(LibraryHygieneTest, PoisonIsPlantedAfterAWaitOnAThreadThatUsesTheLibraryAndIsNobodysMistake) {
  LibraryHygiene poisoned(log_, true);
  poisoned.resumed(0);
  EXPECT_EQ(fake_queue.number, 0u) << "the thread has not used the library yet";
  DoorCall made{.function = "SSL_read", .session = at(1), .caller = at(2)};
  poisoned.entering(made);
  poisoned.left(made, {.outcome = DoorOutcome::done});
  poisoned.resumed(0);
  EXPECT_EQ(fake_queue, planted_entry);
  poisoned.waiting(wait(0));
  EXPECT_EQ(laws(log_), "");
  made.before = fake_queue;
  poisoned.entering(made);
  poisoned.left(made, {.outcome = DoorOutcome::want_read, .after = fake_queue});
  const DoorCall asked{.verb = DoorVerb::classify, .function = "SSL_get_error", .session = at(1), .before = fake_queue};
  poisoned.entering(asked);
  poisoned.left(asked, {.outcome = DoorOutcome::fatal, .after = fake_queue});
  EXPECT_EQ(laws(log_), "H2");
  EXPECT_TRUE(message().contains("planted by tlsrig")) << message();
}

TEST_F(LibraryHygieneTest, PoisonIsTakenOutWhenControlReturnsAndAnEntryOfTheLayersIsNot) {
  LibraryHygiene poisoned(log_, true);
  const DoorCall made{.function = "SSL_read", .session = at(1), .caller = at(2)};
  poisoned.entering(made);
  poisoned.left(made, {.outcome = DoorOutcome::done});
  poisoned.resumed(0);
  poisoned.returned(0);
  EXPECT_EQ(fake_queue.number, 0u);
  poisoned.resumed(0);
  fake_queue = own_entry;
  poisoned.returned(0);
  EXPECT_EQ(fake_queue, own_entry);
}

TEST_F(LibraryHygieneTest, PoisonIsNotPlantedBetweenAFailureAndTheQuestionWhatItMeans) {
  LibraryHygiene poisoned(log_, true);
  const DoorCall made{.function = "SSL_read", .session = at(1), .caller = at(2)};
  poisoned.entering(made);
  poisoned.left(made, {.outcome = DoorOutcome::want_read});
  poisoned.resumed(0);
  EXPECT_EQ(fake_queue.number, 0u);
}

TEST_F(LibraryHygieneTest, H3_AQueueThatIsClearedBetweenTheFailureAndTheQuestionIsReported) {
  read(DoorOutcome::fatal, own_entry);
  clear();
  classify(DoorOutcome::broken);
  EXPECT_EQ(laws(log_), "H3");
  EXPECT_EQ(message().find("SSL_read failed and said why, but ERR_clear_error emptied the queue before SSL_get_error"),
            0u)
      << message();
}

TEST_F(LibraryHygieneTest, H3_AReportThatIsTakenForALogBeforeTheQuestionIsReported) {
  read(DoorOutcome::fatal, own_entry);
  call(DoorVerb::take, "ERR_get_error", DoorOutcome::done, {});
  classify(DoorOutcome::broken);
  EXPECT_EQ(laws(log_), "H3");
}

TEST_F(LibraryHygieneTest, H3_ACallbackThatEmptiesTheQueueWithinTheFailingCallIsReported) {
  const DoorCall handshake{
      .verb = DoorVerb::handshake, .function = "SSL_connect", .session = at(1), .caller = at(2), .before = {}};
  hygiene_.entering(handshake);
  fake_queue = own_entry;
  call(DoorVerb::clear, "ERR_clear_error", DoorOutcome::done, {}, true);
  hygiene_.left(handshake, {.outcome = DoorOutcome::broken, .after = {}});
  EXPECT_EQ(laws(log_), "H3");
}

TEST_F(LibraryHygieneTest, H3_IsSilentWhereTheClearComesAfterTheQuestionOrChangesNothing) {
  read(DoorOutcome::fatal, own_entry);
  classify(DoorOutcome::fatal);
  clear();
  read(DoorOutcome::want_read, {});
  clear();
  classify(DoorOutcome::want_read);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(LibraryHygieneTest, H3_IsSilentAboutAFailureThatNobodyAsksAbout) {
  call(DoorVerb::shutdown, "SSL_shutdown", DoorOutcome::fatal, own_entry);
  clear();
  hygiene_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "");
}

}  // namespace
}  // namespace rig
