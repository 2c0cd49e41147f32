#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "harness/scenario/scenario.h"

namespace rig {
namespace {

template <class Enum>
class WordsTest : public testing::Test {};

using Enumerations =
    testing::Types<Side, World, Auth, Size, TlsChoice, PollerChoice, Peer, Event, Verb, Condition, Where>;
TYPED_TEST_SUITE(WordsTest, Enumerations);

TYPED_TEST(WordsTest, EachValueHasAWordOfItsOwnThatLeadsBack) {
  std::set<std::string_view> texts;
  for (const Word<TypeParam>& one : words<TypeParam>()) {
    EXPECT_EQ(word(one.value), one.text);
    EXPECT_EQ(from_word<TypeParam>(one.text), one.value);
    EXPECT_FALSE(one.text.empty());
    texts.insert(one.text);
  }
  EXPECT_EQ(texts.size(), words<TypeParam>().size());
  EXPECT_EQ(from_word<TypeParam>(""), std::nullopt);
  EXPECT_EQ(from_word<TypeParam>("no such word"), std::nullopt);
}

TEST(WordListTest, TheLastOfEachEnumerationHasAWord) {
  EXPECT_EQ(words<Event>().back().value, Event::closed);
  EXPECT_EQ(words<Verb>().back().value, Verb::relay_fin);
  EXPECT_EQ(words<Condition>().back().value, Condition::peer_closed);
  EXPECT_EQ(words<Peer>().back().value, Peer::deaf);
}

TEST(CellNameTest, NamesThePairingVersionPollerAndFastTrack) {
  Cell cell;
  cell.server = "gnutls";
  cell.fast_track = false;
  EXPECT_EQ(cell_name(cell), "openssl~gnutls.tls12.epoll.fast_off");
  cell.tls = TlsChoice::tls13;
  cell.poller = PollerChoice::select;
  cell.fast_track = true;
  EXPECT_EQ(cell_name(cell), "openssl~gnutls.tls13.select.fast_on");
}

TEST(CellNameTest, AnotherSubjectAndAnotherWorldAreAppended) {
  Cell cell;
  cell.subject = "plain";
  cell.client = "null";
  cell.server = "null";
  cell.tls = TlsChoice::none;
  EXPECT_EQ(cell_name(cell), "null~null.plain.epoll.fast_on.plain");
  cell.world = World::lab;
  EXPECT_EQ(cell_name(cell), "null~null.plain.epoll.fast_on.plain.lab");
  cell.subject = "house";
  EXPECT_EQ(cell_name(cell), "null~null.plain.epoll.fast_on.lab");
  cell.world = World::loopback;
  cell.subject = "/home/me/mine.so";
  EXPECT_EQ(cell_name(cell), "null~null.plain.epoll.fast_on.mine");
}

}  // namespace
}  // namespace rig
