// What the template mutants.html shows, gathered from the report of ci/mutants.
#include "reports/mutants.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <kainjow/mustache.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "reports/report.h"
#include "reports/template.h"

namespace rig {
namespace {

using kainjow::mustache::data;
using Json = nlohmann::json;

std::string text_of(const Json& record, const char* key) {
  return printable(record.value(key, std::string()));
}

std::string seconds_text(const Json& seconds) {
  if (!seconds.is_number()) {
    return "-";
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", seconds.get<double>());
  return text.data();
}

// The verdict that counts: that of a law which the header names, else the first one; null if there is none.
const Json& kill_of(const Json& record) {
  static const Json none;
  for (const char* key : {"named", "first"}) {
    if (record.contains(key) && !record.at(key).is_null()) {
      return record.at(key);
    }
  }
  return none;
}

bool by_named_law(const Json& record) {
  return record.contains("named") && !record.at("named").is_null();
}

std::string mood_of(const Json& record) {
  return by_named_law(record) ? "pass" : kill_of(record).is_null() ? "fail" : "vacuous";
}

std::string joined(const Json& words) {
  std::string text;
  for (const Json& word : words) {
    text += (text.empty() ? "" : ", ") + printable(word.get<std::string>());
  }
  return text;
}

data row_of(const Json& record) {
  data row;
  for (const char* key : {"patch", "plants", "bug", "law", "build"}) {
    row.set(key, text_of(record, key));
  }
  const Json& kill = kill_of(record);
  row.set("mood", mood_of(record));
  row.set("outcome", text_of(record, "outcome"));
  row.set("killed", data(!kill.is_null()));
  if (kill.is_null()) {
    row.set("sentence", text_of(record, "why"));
    return row;
  }
  row.set("by", joined(kill.at("by")));
  row.set("world", text_of(kill, "world"));
  row.set("case", text_of(kill, "suite") + "." + text_of(kill, "cell"));
  row.set("runs", std::to_string(kill.value("runs", 0)));
  row.set("seconds", seconds_text(kill.value("cpu_seconds", Json())));
  row.set("sentence", text_of(kill, "sentence"));
  return row;
}

using Counts = std::map<std::string, std::uint64_t>;

Counts counts_of(const Json& record, const char* kind) {
  const auto found = record.find(kind);
  return found == record.end() ? Counts{} : found->get<Counts>();
}

// The counts of one kind ("laws" or "suites") by mutant, with the columns that occur.
data matrix_of(const Json& records, const char* kind, const char* heading) {
  std::set<std::string> columns;
  for (const Json& record : records) {
    for (const auto& [column, count] : counts_of(record, kind)) {
      columns.insert(column);
    }
  }
  data heads(data::type::list);
  for (const std::string& column : columns) {
    data head;
    head.set("name", printable(column));
    heads.push_back(head);
  }
  data rows(data::type::list);
  for (const Json& record : records) {
    const Counts counts = counts_of(record, kind);
    data places(data::type::list);
    for (const std::string& column : columns) {
      const auto found = counts.find(column);
      data place;
      place.set("count", found == counts.end() ? "" : std::to_string(found->second));
      place.set("mood", found == counts.end() ? "" : mood_of(record));
      places.push_back(place);
    }
    data row;
    row.set("patch", text_of(record, "patch"));
    row.set("places", places);
    rows.push_back(row);
  }
  data matrix;
  matrix.set("heading", heading);
  matrix.set("heads", heads);
  matrix.set("rows", rows);
  return matrix;
}

data tiles_of(const Json& summary) {
  data tiles(data::type::list);
  const auto add = [&tiles](const std::string& figure, const char* what) {
    data tile;
    tile.set("figure", figure);
    tile.set("what", what);
    tiles.push_back(tile);
  };
  add(std::to_string(summary.value("killed", 0)) + " of " + std::to_string(summary.value("mutants", 0)), "killed");
  add(std::to_string(summary.value("by_named_law", 0)), "by a law that the header names");
  add(std::to_string(summary.value("crash_alone", 0)), "by a crash alone");
  add(seconds_text(summary.value("cpu_seconds_median", Json())), "of CPU to the first report, in the median");
  add(seconds_text(summary.value("cpu_seconds_95", Json())), "or less for 95 % of them");
  return tiles;
}

// The small changes of `ci/mutants --generic`, with those that nobody reported line by line.
data generic_of(const Json& generic) {
  const Json& summary = generic.at("summary");
  data part;
  part.set("killed", std::to_string(summary.value("killed", 0)));
  part.set("run", std::to_string(summary.value("run", 0)));
  part.set("not_met", std::to_string(summary.value("not_met", 0)));
  part.set("possible", std::to_string(generic.value("possible", 0)));
  part.set("seed", std::to_string(generic.value("seed", 0)));
  part.set("median", seconds_text(summary.value("cpu_seconds_median", Json())));
  part.set("most", seconds_text(summary.value("cpu_seconds_95", Json())));
  data laws(data::type::list);
  for (const auto& [law, count] : counts_of(summary, "laws")) {
    data entry;
    entry.set("name", printable(law));
    entry.set("count", std::to_string(count));
    laws.push_back(entry);
  }
  part.set("laws", laws);
  data rows(data::type::list);
  for (const Json& change : generic.at("changes")) {
    if (change.value("outcome", "") == "killed") {
      continue;
    }
    data row;
    row.set("place", text_of(change, "file") + ":" + std::to_string(change.value("line", 0)));
    row.set("operator", text_of(change, "operator"));
    row.set("text", text_of(change, "text"));
    row.set("met", change.value("met", false) ? "yes" : "no");
    row.set("why", text_of(change, "why"));
    rows.push_back(row);
  }
  part.set("rows", rows);
  return part;
}

std::string page_of(const Json& report) {
  const Json& records = report.at("mutants");
  const Json& summary = report.at("summary");
  data page;
  page.set("tiles", tiles_of(summary));
  page.set("all_killed", data(summary.at("survived").empty()));
  page.set("survived", joined(summary.at("survived")));
  const Json not_run = summary.value("not_run", Json::array());
  page.set("has_not_run", data(!not_run.empty()));
  page.set("not_run", joined(not_run));
  const Json clean = report.value("clean", Json());
  page.set("has_clean", data(clean.is_object()));
  if (clean.is_object()) {
    page.set("clean_runs", std::to_string(clean.value("runs", 0)));
    page.set("clean_seconds", seconds_text(clean.value("cpu_seconds", Json())));
    page.set("alarms", std::to_string(clean.value("false_alarms", 0)));
  }
  data rows(data::type::list);
  for (const Json& record : records) {
    rows.push_back(row_of(record));
  }
  page.set("rows", rows);
  const Json generic = report.value("generic", Json());
  if (generic.is_object()) {
    page.set("generic", generic_of(generic));
  }
  data matrices(data::type::list);
  matrices.push_back(matrix_of(records, "laws", "Mutant by law"));
  matrices.push_back(matrix_of(records, "suites", "Mutant by suite"));
  page.set("matrices", matrices);
  return kainjow::mustache::mustache(std::string(mutants_template())).render(page);
}

}  // namespace

std::expected<std::string, Error> mutants_html(std::string_view json) {
  try {
    return page_of(Json::parse(json));
  } catch (const Json::exception& wrong) {
    return std::unexpected(Error(Code::invalid_argument, "no report of ci/mutants: " + std::string(wrong.what())));
  }
}

}  // namespace rig
