// The HTML page: what the template shows, gathered from the verdicts.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <kainjow/mustache.hpp>
#include <map>
#include <set>
#include <tuple>

#include "harness/base/check.h"
#include "reports/report.h"
#include "reports/template.h"

namespace rig {
namespace {

using kainjow::mustache::data;

data list() {
  return data(data::type::list);
}

// KindLook is how a kind of verdict is shown: never by its colour alone.
struct KindLook {
  VerdictKind kind;
  const char* sign;
  const char* plural;
  bool red;
};

// In the order of gravity: of several verdicts at one place the gravest is shown.
constexpr std::array looks{
    KindLook{VerdictKind::fail, "\u2715", "failed", true},     KindLook{VerdictKind::hang, "\u2026", "hung", true},
    KindLook{VerdictKind::vacuous, "\u2205", "vacuous", true}, KindLook{VerdictKind::skip, "\u2013", "skipped", false},
    KindLook{VerdictKind::pass, "\u2713", "passed", false},
};

std::size_t gravity(VerdictKind kind) {
  const auto found = std::ranges::find(looks, kind, &KindLook::kind);
  RIG_CHECK(found != looks.end());
  return static_cast<std::size_t>(found - looks.begin());
}

const KindLook& look_of(VerdictKind kind) {
  return looks[gravity(kind)];
}

std::string count_text(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string seconds_text(double seconds) {
  std::array<char, 64> text{};
  const double value = std::isfinite(seconds) && seconds > 0 && seconds < 1e15 ? seconds : 0;
  const int digits = value < 10 ? 3 : 1;
  const auto [end, wrong] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits);
  return (wrong == std::errc() ? std::string(text.data(), end) : "0") + " s";
}

// Row and Column are the places of a matrix.
using Row = std::tuple<std::string, TlsChoice, std::string>;  // pairing, version, subject and world where unusual
using Column = std::pair<PollerChoice, bool>;

Row row_of(const Cell& cell) {
  std::string more = cell.subject == "house" ? "" : cell.subject;
  if (cell.world != World::loopback) {
    more += (more.empty() ? "" : ", ") + std::string(word(cell.world));
  }
  return {cell.client + " ~ " + cell.server, cell.tls, more};
}

Column column_of(const Cell& cell) {
  return {cell.poller, !cell.fast_track};  // on stands before off
}

std::string tls_text(TlsChoice tls) {
  return tls == TlsChoice::none ? "no TLS" : "TLS " + std::string(word(tls));
}

std::string id_of(std::size_t index) {
  return "case-" + std::to_string(index + 1);
}

// Page gathers what the template shows. Indices are those of Report::verdicts.
class Page {
 public:
  explicit Page(const Report& report);
  data all() const;

 private:
  using Group = std::vector<std::size_t>;

  data summary() const;
  data versions() const;
  data troubles() const;
  data suites() const;
  data suite(const std::string& name, const Group& group) const;
  data matrix_row(const Row& row, const std::set<Column>& columns,
                  const std::map<std::pair<Row, Column>, Group>& places) const;
  data place(const Group& group) const;
  data one(std::size_t index) const;
  const Verdict& verdict(std::size_t index) const { return report_.verdicts[index]; }

  const Report& report_;
  std::array<std::size_t, looks.size()> counts_{};
  std::size_t red_ = 0;
  double seconds_ = 0;
  std::map<std::string, Group> by_suite_;
};

Page::Page(const Report& report) : report_(report) {
  for (std::size_t i = 0; i < report.verdicts.size(); ++i) {
    ++counts_[gravity(verdict(i).kind)];
    red_ += look_of(verdict(i).kind).red ? 1 : 0;
    seconds_ += std::isfinite(verdict(i).seconds) ? std::max(0.0, verdict(i).seconds) : 0;
    by_suite_[verdict(i).suite].push_back(i);
  }
}

data Page::all() const {
  data page;
  page.set("title", printable(report_.title));
  page.set("has_made_at", data(!report_.made_at.empty()));  // an empty string is no false in mustache
  page.set("made_at", printable(report_.made_at));
  page.set("summary", summary());
  page.set("versions", versions());
  page.set("troubles", troubles());
  page.set("suites", suites());
  return page;
}

data Page::summary() const {
  data summary;
  const std::size_t total = report_.verdicts.size();
  const std::size_t passed = counts_[gravity(VerdictKind::pass)];
  const std::size_t skipped = counts_[gravity(VerdictKind::skip)];
  std::string sentence = count_text(red_, "case needs", "cases need") + " a look";
  if (red_ == 0) {
    sentence = passed == 0 ? "Nothing was tested" : "Every case that ran has passed";
  }
  summary.set("sentence", sentence);
  summary.set("mood", red_ != 0 ? "fail" : passed == 0 ? "vacuous" : "pass");
  summary.set("total", count_text(total, "case", "cases"));
  summary.set("suites_count", count_text(by_suite_.size(), "suite", "suites"));
  summary.set("skips", data(skipped != 0));
  summary.set("seconds", seconds_text(seconds_));
  data tiles = list();
  data bar = list();
  for (std::size_t i = looks.size(); i-- > 0;) {
    data tile;
    tile.set("kind", std::string(verdict_kind_name(looks[i].kind)));
    tile.set("sign", looks[i].sign);
    tile.set("plural", looks[i].plural);
    tile.set("count", std::to_string(counts_[i]));
    tile.set("is_none", data(counts_[i] == 0));
    tiles.push_back(tile);
    if (counts_[i] != 0) {
      bar.push_back(tile);
    }
  }
  summary.set("tiles", tiles);
  summary.set("bar", bar);
  return summary;
}

// What was really used, by the words in which the runs reported it.
data Page::versions() const {
  struct Use {
    std::size_t as_client = 0;
    std::size_t as_server = 0;
  };
  std::map<std::string, Use> uses;
  for (const Verdict& one : report_.verdicts) {
    if (!one.used.client_library.empty()) {
      ++uses[one.used.client_library].as_client;
    }
    if (!one.used.server_library.empty()) {
      ++uses[one.used.server_library].as_server;
    }
  }
  data versions = list();
  for (const auto& [library, use] : uses) {
    data row;
    row.set("library", printable(library));
    row.set("as_client", std::to_string(use.as_client));
    row.set("as_server", std::to_string(use.as_server));
    versions.push_back(row);
  }
  data result;
  result.set("any", data(!uses.empty()));
  result.set("rows", versions);
  return result;
}

data Page::troubles() const {
  Group group;
  for (std::size_t i = 0; i < report_.verdicts.size(); ++i) {
    if (look_of(verdict(i).kind).red) {
      group.push_back(i);
    }
  }
  std::ranges::sort(group, {}, [this](std::size_t i) { return std::pair(gravity(verdict(i).kind), i); });
  data cards = list();
  for (const std::size_t i : group) {
    cards.push_back(one(i));
  }
  data result;
  result.set("any", data(!group.empty()));
  result.set("cards", cards);
  return result;
}

data Page::suites() const {
  data all_suites = list();
  for (const auto& [name, group] : by_suite_) {
    all_suites.push_back(suite(name, group));
  }
  return all_suites;
}

data Page::suite(const std::string& name, const Group& group) const {
  std::map<std::pair<Row, Column>, Group> places;
  std::set<Row> rows;
  std::set<Column> columns;
  std::array<std::size_t, looks.size()> counts{};
  data cases = list();
  for (const std::size_t i : group) {
    const Row row = row_of(verdict(i).cell_claimed);
    const Column column = column_of(verdict(i).cell_claimed);
    rows.insert(row);
    columns.insert(column);
    places[{row, column}].push_back(i);
    ++counts[gravity(verdict(i).kind)];
    cases.push_back(one(i));
  }
  data heads = list();
  for (const Column& column : columns) {
    data head;
    head.set("poller", std::string(word(column.first)));
    head.set("fast", column.second ? "off" : "on");
    heads.push_back(head);
  }
  data matrix_rows = list();
  for (const Row& row : rows) {
    matrix_rows.push_back(matrix_row(row, columns, places));
  }
  std::string tally;
  for (std::size_t i = looks.size(); i-- > 0;) {
    if (counts[i] != 0) {
      tally += (tally.empty() ? "" : ", ") + std::to_string(counts[i]) + " " + looks[i].plural;
    }
  }
  data result;
  result.set("suite", name.empty() ? "(no suite)" : printable(name));
  result.set("tally", tally);
  result.set("heads", heads);
  result.set("rows", matrix_rows);
  result.set("cases", cases);
  return result;
}

data Page::matrix_row(const Row& row, const std::set<Column>& columns,
                      const std::map<std::pair<Row, Column>, Group>& places) const {
  const auto& [pairing, tls, more] = row;
  data places_of_row = list();
  for (const Column& column : columns) {
    const auto found = places.find({row, column});
    places_of_row.push_back(place(found == places.end() ? Group{} : found->second));
  }
  data result;
  result.set("pairing", printable(pairing));
  result.set("tls", tls_text(tls));
  result.set("more", printable(more));
  result.set("has_more", data(!more.empty()));
  result.set("places", places_of_row);
  return result;
}

data Page::place(const Group& group) const {
  data result;
  result.set("is_used", data(!group.empty()));
  if (group.empty()) {
    return result;
  }
  const std::size_t gravest =
      *std::ranges::min_element(group, {}, [this](std::size_t i) { return gravity(verdict(i).kind); });
  const KindLook& look = look_of(verdict(gravest).kind);
  result.set("id", id_of(gravest));
  result.set("kind", std::string(verdict_kind_name(look.kind)));
  result.set("sign", look.sign);
  result.set("hint", printable(verdict(gravest).cell + ": " + std::string(verdict_kind_name(look.kind))) +
                         (group.size() == 1 ? "" : " (the gravest of " + std::to_string(group.size()) + ")"));
  result.set("runs", std::to_string(group.size()));
  result.set("several", data(group.size() > 1));
  return result;
}

// One verdict: a card among the troubles, and a row of its suite.
data Page::one(std::size_t index) const {
  const Verdict& v = verdict(index);
  const KindLook& look = look_of(v.kind);
  data result;
  result.set("id", id_of(index));
  result.set("name", printable(v.suite + (v.suite.empty() ? "" : ".") + v.cell));
  result.set("cell", printable(v.cell));
  result.set("kind", std::string(verdict_kind_name(v.kind)));
  result.set("sign", look.sign);
  result.set("red", data(look.red));
  result.set("seed", std::to_string(v.seed));
  result.set("seconds", seconds_text(v.seconds));
  result.set("reason", printable(v.reason));
  // Of a broken law the reason is the first violation, which stands below it on the card.
  result.set("says_more", data(v.violations.empty() || !v.reason.ends_with(v.violations.front().message)));
  result.set("has_repro", data(!v.repro.empty()));
  result.set("repro", printable(v.repro));
  data violations = list();
  for (const Violation& violation : v.violations) {
    data row;
    row.set("law", std::string(law_name(violation.law)));
    row.set("demand", std::string(law_sentence(violation.law)));
    row.set("where", printable(violation.where));
    row.set("message", printable(violation.message));
    violations.push_back(row);
  }
  result.set("violations", violations);
  result.set("has_violations", data(!v.violations.empty()));
  const std::uint64_t left = v.violation_count > v.violations.size() ? v.violation_count - v.violations.size() : 0;
  result.set("has_left", data(left != 0));
  result.set("left", left == 0 ? "" : count_text(left, "more violation", "more violations"));
  std::string used;
  for (const std::string& part :
       {v.used.client_library, v.used.server_library, v.used.tls.empty() ? "" : "TLS " + v.used.tls, v.used.cipher,
        v.used.poller, v.used.fast_track.empty() ? "" : "fast track " + v.used.fast_track,
        v.used.nodelay_client.empty() ? "" : "nodelay " + v.used.nodelay_client + "/" + v.used.nodelay_server}) {
    used += (used.empty() || part.empty() ? "" : " \u00b7 ") + part;
  }
  result.set("used", printable(used));
  result.set("has_used", data(!used.empty()));
  data counters = list();
  for (const auto& [counter, value] : v.counters) {
    data row;
    row.set("counter", printable(counter));
    row.set("value", std::to_string(value));
    counters.push_back(row);
  }
  result.set("counters", counters);
  result.set("has_counters", data(!v.counters.empty()));
  return result;
}

}  // namespace

std::string report_html(const Report& report) {
  kainjow::mustache::mustache page{std::string(index_template())};
  RIG_CHECK(page.is_valid());
  std::string text = page.render(Page(report).all());
  RIG_CHECK(page.is_valid());
  return text;
}

}  // namespace rig
