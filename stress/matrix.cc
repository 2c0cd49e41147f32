// Which cells are taken, and by which rule. ci/matrix.json holds the axes; it is compiled in.
#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>

#include "harness/base/prng.h"
#include "stress/matrix_json.h"
#include "stress/suite.h"

namespace rig {
namespace {

struct Axes {
  std::vector<TlsChoice> tls;
  std::vector<PollerChoice> pollers;
  std::vector<bool> fast_track;
};

// A subject is asked on the pollers that it has.
bool has_poller(const rig_subject& subject, PollerChoice poller) {
  const std::uint32_t bit = poller == PollerChoice::epoll  ? RIG_POLLER_EPOLL
                            : poller == PollerChoice::poll ? RIG_POLLER_POLL
                                                           : RIG_POLLER_SELECT;
  return (subject.pollers & bit) != 0;
}

Axes axes(const rig_subject& subject) {
  const auto json = nlohmann::json::parse(matrix_json);
  Axes axes;
  for (const auto& name : json.at("tls")) {
    axes.tls.push_back(from_word<TlsChoice>(name.get<std::string>()).value());
  }
  for (const auto& name : json.at("pollers")) {
    const auto poller = from_word<PollerChoice>(name.get<std::string>()).value();
    if (has_poller(subject, poller)) {
      axes.pollers.push_back(poller);
    }
  }
  for (const auto& name : json.at("fast_track")) {
    axes.fast_track.push_back(name == "on");
  }
  return axes;
}

// Pair is a client and a server library with a version that both have; plain TCP only talks to itself.
struct Pair {
  std::string client;
  std::string server;
  TlsChoice tls;
};

std::vector<Pair> pairs(const Axes& axes, const rig_subject& subject) {
  std::vector<std::string> libraries;
  std::istringstream words(subject.libraries);
  for (std::string name; words >> name;) {
    libraries.push_back(name);
  }
  const auto can = [&subject](const std::string& library, TlsChoice tls) {
    const std::uint32_t mask = subject.capabilities(library.c_str());
    return (mask & (tls == TlsChoice::tls12 ? RIG_CAN_TLS12 : RIG_CAN_TLS13)) != 0;
  };
  std::vector<Pair> found;
  for (const std::string& client : libraries) {
    for (const std::string& server : libraries) {
      for (const TlsChoice tls : axes.tls) {
        const bool plain = tls == TlsChoice::none;
        const bool has_tls = !plain && can(client, tls) && can(server, tls);
        if (plain ? client == "null" && server == "null" : has_tls) {
          found.push_back({client, server, tls});
        }
      }
    }
  }
  return found;
}

// What does not make cells of its own is spread by the name, so that a case is the same whatever matrix it is in. All
// that a socket layer sees of certificates is a longer flight of the handshake; they cost a run five times its time.
void spread(Case& one) {
  const std::uint64_t hash = name_hash(case_name(one));
  one.cell.auth = hash % 12 == 0 ? Auth::certificate : Auth::psk;
  one.cell.nodelay_client = (hash >> 8) % 2 == 0;
  one.cell.nodelay_server = (hash >> 16) % 2 == 0;
  one.cell.ipv6 = (hash >> 24) % 4 == 0;
}

std::vector<Case> all_cases(const rig_subject& subject, World world) {
  const Axes all = axes(subject);
  std::vector<Case> found;
  for (const Suite* suite : suites()) {
    for (const Pair& pair : pairs(all, subject)) {
      const Abilities abilities{subject.capabilities(pair.client.c_str()), subject.capabilities(pair.server.c_str())};
      for (const PollerChoice poller : all.pollers) {
        for (const bool fast_track : all.fast_track) {
          Case one{.suite = suite, .cell = {}};
          one.cell.subject = subject.name;
          one.cell.client = pair.client;
          one.cell.server = pair.server;
          one.cell.tls = pair.tls;
          one.cell.poller = poller;
          one.cell.fast_track = fast_track;
          spread(one);
          Cell there = one.cell;
          there.world = world;
          if (!suite->unfit(there, abilities).has_value()) {
            found.push_back(std::move(one));
          }
        }
      }
    }
  }
  return found;
}

// Values is a cell as a list of axis values, for covering pairs of them.
std::vector<std::string> values(const Case& one) {
  const Cell& cell = one.cell;
  return {"suite " + std::string(one.suite->name),
          "client " + cell.client,
          "server " + cell.server,
          "tls " + std::string(word(cell.tls)),
          "poller " + std::string(word(cell.poller)),
          cell.fast_track ? "fast_track on" : "fast_track off",
          "auth " + std::string(word(cell.auth)),
          cell.nodelay_client ? "nodelay_client on" : "nodelay_client off",
          cell.nodelay_server ? "nodelay_server on" : "nodelay_server off",
          cell.ipv6 ? "ipv6 on" : "ipv6 off"};
}

using ValuePair = std::pair<std::string, std::string>;

std::vector<ValuePair> value_pairs(const Case& one) {
  const std::vector<std::string> all = values(one);
  std::vector<ValuePair> found;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      found.emplace_back(all[i], all[j]);
    }
  }
  return found;
}

// The quick matrix: each suite on each pairing and version, with fast track on and off, the pollers taking turns; then
// what belongs to a named row, and whatever is needed until every pair of axis values that occurs in the full matrix
// occurs here.
std::vector<Case> quick_of(std::vector<Case> full, std::size_t pollers) {
  std::vector<Case> quick;
  std::vector<Case> rest;
  std::set<ValuePair> covered;
  const auto take = [&](Case one) {
    for (ValuePair& pair : value_pairs(one)) {
      covered.insert(std::move(pair));
    }
    quick.push_back(std::move(one));
  };
  std::map<std::tuple<std::string_view, std::string, std::string, TlsChoice, bool>, std::size_t> groups;
  std::map<std::tuple<std::string_view, std::string, std::string, TlsChoice, bool>, std::size_t> met;
  for (Case& one : full) {
    const auto key = std::tuple(one.suite->name, one.cell.client, one.cell.server, one.cell.tls, one.cell.fast_track);
    const std::size_t turn = groups.try_emplace(key, groups.size()).first->second % pollers;
    if (met[key]++ == turn) {
      take(std::move(one));
    } else {
      rest.push_back(std::move(one));
    }
  }
  for (Case& one : rest) {
    const std::vector<ValuePair> pairs_of_one = value_pairs(one);
    const bool named = std::ranges::any_of(rows(), [&one](const Row& row) { return row.has(one.cell); });
    if (named || !std::ranges::all_of(pairs_of_one, [&](const ValuePair& pair) { return covered.contains(pair); })) {
      take(std::move(one));
    }
  }
  return quick;
}

}  // namespace

std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0;
  for (const char letter : name) {
    hash = mix64(hash ^ static_cast<unsigned char>(letter));
  }
  return hash;
}

std::string case_name(const Case& one) {
  return std::string(one.suite->name) + "." + cell_name(one.cell);
}

bool Row::has(const Cell& cell) const {
  return cell.client == client && cell.server == server && cell.poller == poller && cell.fast_track == fast_track;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> found;
    const auto json = nlohmann::json::parse(matrix_json);
    for (const auto& row : json.at("rows")) {
      found.push_back({.name = row.at("name"),
                       .preset = row.at("preset"),
                       .client = row.at("client"),
                       .server = row.at("server"),
                       .poller = from_word<PollerChoice>(row.at("poller").get<std::string>()).value(),
                       .fast_track = row.at("fast_track") == "on"});
    }
    return found;
  }();
  return all;
}

std::vector<Case> cases(Matrix matrix, const rig_subject& subject, World world) {
  std::vector<Case> full = all_cases(subject, world);
  return matrix == Matrix::full ? full : quick_of(std::move(full), axes(subject).pollers.size());
}

const Suite* find_suite(std::string_view name) {
  for (const Suite* suite : suites()) {
    if (suite->name == name) {
      return suite;
    }
  }
  return nullptr;
}

}  // namespace rig
