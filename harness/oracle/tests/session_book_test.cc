// What the report of a stall says of the library door.
#include "harness/oracle/session_book.h"

#include <gtest/gtest.h>

#include "harness/oracle/tests/door_events.h"

namespace rig {
namespace {

using namespace test;

class SessionBookTest : public testing::Test {
 protected:
  DoorCall call(std::uintptr_t session, const char* function = "SSL_read", DoorVerb verb = DoorVerb::read,
                std::size_t bytes = 0) {
    return {.verb = verb, .function = function, .session = at(session), .bytes = bytes, .thread = 0};
  }
  void ask(const DoorCall& asked, DoorOutcome outcome = DoorOutcome::done) {
    book_.entering(asked);
    book_.left(asked, {.outcome = outcome});
  }

  SessionBook book_;
};

TEST_F(SessionBookTest, ASessionBelongsToTheDescriptorThatItsThreadReceivedFrom) {
  book_.carried(0, 7, nullptr, false);
  ask(call(1), DoorOutcome::want_read);
  EXPECT_EQ(book_.last_asked(7), "the last SSL_read() waits for input");
  EXPECT_EQ(book_.last_asked(8), "");
  ask(call(2));
  EXPECT_EQ(book_.last_asked(7), "the last SSL_read() waits for input");
}

TEST_F(SessionBookTest, ASessionBelongsToTheDescriptorThatItsThreadSendsTo) {
  ask(call(1, "SSL_write", DoorVerb::write, 300), DoorOutcome::want_write);
  book_.carried(0, 7, nullptr, true);
  book_.carried(0, 8, nullptr, true);
  EXPECT_EQ(book_.last_asked(7), "the last SSL_write() of 300 bytes waits for room");
  EXPECT_EQ(book_.last_asked(8), "");
}

TEST_F(SessionBookTest, ALibraryThatDoesTheWorkItselfSaysWhoseItIs) {
  book_.entering(call(2));
  book_.carried(0, 7, at(2), false);
  EXPECT_EQ(book_.last_asked(7), "the last SSL_read() has not come back");
}

TEST_F(SessionBookTest, ANewOwnerOfANumberOrOfAnAddressIsNotTheOldOne) {
  book_.carried(0, 7, nullptr, false);
  ask(call(1));
  book_.begun(7);
  EXPECT_EQ(book_.last_asked(7), "");
  book_.carried(0, 7, nullptr, false);
  ask(call(1), DoorOutcome::fatal);
  EXPECT_EQ(book_.last_asked(7), "the last SSL_read() failed");
  ask(call(1, "SSL_free", DoorVerb::destroy));
  EXPECT_EQ(book_.last_asked(7), "");
}

}  // namespace
}  // namespace rig
