#include "harness/scenario/trace_file.h"

#include <cstdio>
#include <map>
#include <set>
#include <utility>

namespace rig {
namespace {

constexpr int threads_process = 1;
constexpr int connections_process = 2;

// Writer puts one JSON object after another.
class Writer {
 public:
  explicit Writer(std::FILE* file) : file_(file) { std::fputs("{\"traceEvents\":[\n", file_); }
  void end() { std::fputs("\n],\"displayTimeUnit\":\"ns\"}\n", file_); }

  void name(int process, std::uint64_t track, const char* kind, const std::string& name) {
    open();
    std::fprintf(file_, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%llu,\"args\":{\"name\":\"%s\"}}", kind,
                 process, static_cast<unsigned long long>(track), name.c_str());
  }

  void slice(double time_us, const lab::Event& event) {
    open();
    std::fprintf(file_,
                 "{\"ph\":\"X\",\"name\":\"%s\",\"pid\":%d,\"tid\":%u,\"ts\":%.3f,\"dur\":0.9,\"args\":{\"first\":%lld,"
                 "\"second\":%lld}}",
                 std::string(word(event.op)).c_str(), threads_process, event.thread, time_us,
                 static_cast<long long>(event.first), static_cast<long long>(event.second));
  }

  void op(double time_us, char phase, std::uint64_t track, std::uint64_t number) {
    open();
    std::fprintf(file_,
                 "{\"ph\":\"%c\",\"cat\":\"op\",\"name\":\"op %llu\",\"id\":\"%llu.%llu\",\"pid\":%d,\"tid\":%llu,"
                 "\"ts\":%.3f}",
                 phase, static_cast<unsigned long long>(number), static_cast<unsigned long long>(track),
                 static_cast<unsigned long long>(number), connections_process, static_cast<unsigned long long>(track),
                 time_us);
  }

  void pending(double time_us, const std::string& name, std::size_t count) {
    open();
    std::fprintf(file_, "{\"ph\":\"C\",\"name\":\"pending, %s\",\"pid\":%d,\"ts\":%.3f,\"args\":{\"ops\":%zu}}",
                 name.c_str(), connections_process, time_us, count);
  }

 private:
  void open() { std::fputs(std::exchange(first_, false) ? "" : ",\n", file_); }

  std::FILE* file_;
  bool first_ = true;
};

std::string name_of(const AppNote& note) {
  return (note.server ? "server " : "client ") + std::to_string(note.connection);
}

std::uint64_t track_of(const AppNote& note) {
  return std::uint64_t{note.connection} * 2 + (note.server ? 1 : 0);
}

}  // namespace

void note_in_lab(const AppNote& note) {
  if (lab::self() != nullptr) {
    lab::event(lab::Op::note,
               static_cast<std::int64_t>(note.kind) | (note.server ? 4 : 0) | (std::int64_t{note.connection} << 3),
               static_cast<std::int64_t>(note.op));
  }
}

AppNote note_of(const lab::Event& event) {
  return {.kind = static_cast<AppNote::Kind>(event.first & 3),
          .server = (event.first & 4) != 0,
          .connection = static_cast<std::uint32_t>(event.first >> 3),
          .op = static_cast<std::uint64_t>(event.second)};
}

Status write_trace(const std::string& path, std::span<const lab::Event> events) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    return std::unexpected(Error(Code::refused_by_system, "cannot write " + path));
  }
  Writer writer(file);
  writer.name(threads_process, 0, "process_name", "threads");
  writer.name(connections_process, 0, "process_name", "connections");
  std::set<lab::ThreadId> threads;
  std::map<std::uint64_t, std::size_t> pending;
  const std::int64_t begin = events.empty() ? 0 : events.front().time_ns;
  for (const lab::Event& event : events) {
    const double time_us = static_cast<double>(event.time_ns - begin) / 1000.0;
    if (threads.insert(event.thread).second) {
      writer.name(threads_process, event.thread, "thread_name", "thread " + std::to_string(event.thread));
    }
    if (event.op != lab::Op::note) {
      writer.slice(time_us, event);
      continue;
    }
    const AppNote note = note_of(event);
    const auto [count, is_new] = pending.try_emplace(track_of(note), 0);
    if (is_new) {
      writer.name(connections_process, track_of(note), "thread_name", name_of(note));
    }
    const bool begins = note.kind == AppNote::Kind::issued;
    count->second = begins ? count->second + 1 : count->second - (count->second > 0 ? 1 : 0);
    writer.op(time_us, begins ? 'b' : 'e', track_of(note), note.op);
    writer.pending(time_us, name_of(note), count->second);
  }
  writer.end();
  const bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed) {
    return std::unexpected(Error(Code::refused_by_system, "cannot write " + path));
  }
  return {};
}

}  // namespace rig
