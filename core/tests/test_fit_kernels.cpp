// The fit kernels: every instruction set gives what a plain search gives, ties included.
#include <algorithm>

#include "check.hpp"
#include "entropy/fit_kernels.hpp"

namespace fmapzip::test {
namespace {

void test_add_run(std::mt19937& random) {
  constexpr size_t ends = 20;
  std::vector<RunStep> steps;
  std::vector<uint16_t> steps_to;
  for (uint16_t to = 0; to <= ends; ++to) {
    steps_to.push_back(static_cast<uint16_t>(steps.size()));
    if (to == ends) break;
    for (uint16_t from = 0; from < to; ++from) {
      if (random() % 3 == 0) steps.push_back({from, to});
    }
  }
  std::vector<int32_t> costs(steps.size() * kFitLanes), least(ends * kFitLanes);
  for (int32_t& cost : costs) cost = static_cast<int32_t>(random() % 4);  // few values: many ties
  for (int32_t& sum : least) sum = random() % 4 == 0 ? kFitFar : static_cast<int32_t>(random() % 4);
  for (const size_t first : {size_t{1}, size_t{7}, ends - 1}) {
    for (const InstructionSet* set : supported_sets()) {
      std::vector<int32_t> next(ends * kFitLanes, -1);
      std::vector<uint16_t> via(ends * kFitLanes, 0);
      set->fit->add_run(steps.data(), steps_to.data(), first, ends, costs.data(), least.data(), next.data(),
                        via.data());
      for (size_t i = 0; i < first * kFitLanes; ++i) CHECK(next[i] == -1);
      for (size_t i = first * kFitLanes; i < ends * kFitLanes; ++i) {
        const size_t to = i / kFitLanes, lane = i % kFitLanes;
        int32_t best = kFitFar;
        size_t found = 0;
        for (size_t step = steps_to[to]; step < steps_to[to + 1]; ++step) {
          const int32_t sum = least[steps[step].from * kFitLanes + lane] + costs[step * kFitLanes + lane];
          if (sum >= best) continue;
          best = sum;
          found = step;
        }
        CHECK(next[i] == best);
        CHECK(best == kFitFar || via[i] == found);
      }
    }
  }
}

void test_nearest(std::mt19937& random) {
  constexpr size_t count = 50;
  for (const size_t groups : {1, 2, 5, 8, 9, 24}) {
    const size_t padded = (groups + kFitLanes - 1) / kFitLanes * kFitLanes;
    std::vector<uint32_t> rows(count * kFitClasses), costs(padded * kFitClasses);
    for (uint32_t& n : rows) n = random() % 3 == 0 ? static_cast<uint32_t>(random() % 3) : 0;
    const auto place = [](size_t group, size_t k) {
      return (group / kFitLanes * kFitClasses + k) * kFitLanes + group % kFitLanes;
    };
    for (size_t k = 0; k < kFitClasses; ++k) {
      for (size_t group = 0; group < padded; ++group) {
        costs[place(group, k)] = group < groups ? static_cast<uint32_t>(random() % 3) : costs[place(0, k)];
      }
    }
    for (const InstructionSet* set : supported_sets()) {
      std::vector<uint32_t> found(count, 999);
      set->fit->nearest(rows.data(), count, costs.data(), groups, found.data());
      for (size_t row = 0; row < count; ++row) {
        std::vector<uint32_t> sums(groups);
        for (size_t group = 0; group < groups; ++group) {
          for (size_t k = 0; k < kFitClasses; ++k) {
            sums[group] += rows[row * kFitClasses + k] * costs[place(group, k)];
          }
        }
        CHECK(found[row] == std::min_element(sums.begin(), sums.end()) - sums.begin());
      }
    }
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  std::mt19937 random(11);
  for (int i = 0; i < 20; ++i) {
    test_add_run(random);
    test_nearest(random);
  }
  return 0;
}
