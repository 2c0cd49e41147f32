// The replayer: runs the files that it is given, and those of folders, through a target, without libFuzzer.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "fuzz/finding.h"

extern "C" [[gnu::weak]] int LLVMFuzzerInitialize(int*, char***) {
  return 0;
}

namespace {

namespace fs = std::filesystem;

constexpr int exit_usage = 2;

// In the order of their names, so that a run is the same on every file system.
std::vector<fs::path> files_of(const fs::path& path) {
  if (!fs::is_directory(path)) {
    return {path};
  }
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file()) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

bool replay(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    return false;
  }
  // A crash says nothing of its input: whatever was written last is it.
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  // Its own allocation, of its own size: reading beyond it is then seen by a sanitizer.
  if (LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) != 0) {
    std::fprintf(stderr, "%s is no input of this target\n", path.c_str());
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE|FOLDER...\n", argv[0]);
    return exit_usage;
  }
  if (LLVMFuzzerInitialize(&argc, &argv) != 0) {
    return exit_usage;
  }
  std::size_t replayed = 0;
  bool well = true;
  for (int i = 1; i < argc; ++i) {
    std::error_code missing;
    if (!fs::exists(argv[i], missing)) {
      std::fprintf(stderr, "%s is not there\n", argv[i]);
      return exit_usage;
    }
    for (const fs::path& path : files_of(argv[i])) {
      well = replay(path) && well;
      ++replayed;
    }
  }
  if (replayed == 0) {
    std::fprintf(stderr, "there was no file to replay, so that nothing was tested\n");
    return exit_usage;
  }
  std::printf("replayed %zu files\n", replayed);
  return well ? 0 : 1;
}
