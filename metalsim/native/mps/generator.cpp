// torch.Generator(device="mps"). Random operators run on the CPU; each draws from a generator of its own, seeded by
// this one's state, which then moves on.
#include "random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/mps/MPSGeneratorImpl.h>
#include <ATen/Utils.h>
#include <c10/core/TensorImpl.h>

#include <algorithm>
#include <cstring>

namespace at {

namespace {

// The words of the state: [0] counts nothing, [1..4] are Philox's counter and [5..6] its key.
constexpr int kFirstCounter = 1, kLastCounter = 4, kFirstKey = 5;
constexpr size_t kStateBytes = mps::detail::PHILOX_STATE_N * sizeof(uint32_t);
constexpr size_t kTotalBytes = kStateBytes + sizeof(uint64_t);

} // namespace

MPSGeneratorImpl::MPSGeneratorImpl(uint64_t seed)
    : GeneratorImpl{Device(DeviceType::MPS, 0), DispatchKeySet(DispatchKey::MPS)}, engine_(seed, 0, 0) {
  set_current_seed(seed);
}

void MPSGeneratorImpl::set_current_seed(uint64_t seed) {
  data_.seed = seed;
  data_.state.fill(1);
  data_.state[kFirstKey] = static_cast<uint32_t>(seed);
  data_.state[kFirstKey + 1] = static_cast<uint32_t>(seed >> 32);
  engine_.reset_state(seed);
}

uint64_t MPSGeneratorImpl::current_seed() const {
  return data_.seed;
}

uint64_t MPSGeneratorImpl::seed() {
  const uint64_t drawn = c10::detail::getNonDeterministicRandom();
  set_current_seed(drawn);
  return drawn;
}

void MPSGeneratorImpl::set_offset(uint64_t offset) {
  engine_.set_offset(offset);
}

uint64_t MPSGeneratorImpl::get_offset() const {
  return engine_.get_offset();
}

void MPSGeneratorImpl::update_philox_counters() {
  // A function of the state alone: a state that is set again continues as it did the first time.
  for (int word = kFirstCounter; word <= kLastCounter && ++data_.state[word] == 0; word++) {
  }
}

c10::intrusive_ptr<c10::TensorImpl> MPSGeneratorImpl::get_state() const {
  TensorBase state = detail::empty_cpu({static_cast<int64_t>(kTotalBytes)}, kByte);
  auto* const bytes = static_cast<char*>(state.mutable_data_ptr());
  std::memcpy(bytes, data_.state.data(), kStateBytes);
  std::memcpy(bytes + kStateBytes, &data_.seed, sizeof data_.seed);
  return state.getIntrusivePtr();
}

void MPSGeneratorImpl::set_state(const c10::TensorImpl& state) {
  detail::check_rng_state(state);
  TORCH_CHECK(state.numel() == static_cast<int64_t>(kTotalBytes), "RNG state is wrong size: got ", state.numel(),
              " bytes, and a generator of mps has ", kTotalBytes);
  const auto* const bytes = static_cast<const char*>(state.data());
  uint64_t seed;
  std::memcpy(&seed, bytes + kStateBytes, sizeof seed);
  set_current_seed(seed);
  std::memcpy(data_.state.data(), bytes, kStateBytes);
}

MPSGeneratorImpl* MPSGeneratorImpl::clone_impl() const {
  auto* const copy = new MPSGeneratorImpl(data_.seed);
  copy->data_ = data_;
  copy->engine_ = engine_;
  return copy;
}

std::shared_ptr<MPSGeneratorImpl> MPSGeneratorImpl::clone() const {
  return std::shared_ptr<MPSGeneratorImpl>(clone_impl());
}

namespace mps::detail {

const Generator& getDefaultMPSGenerator() {
  static const Generator* const generator = new Generator(createMPSGenerator(c10::detail::getNonDeterministicRandom()));
  return *generator;
}

Generator createMPSGenerator(uint64_t seed) {
  return make_generator<MPSGeneratorImpl>(seed);
}

} // namespace mps::detail

} // namespace at

namespace metalsim::mps {

at::Generator host_generator(const std::optional<at::Generator>& generator) {
  const bool is_given = generator.has_value() && generator->defined();
  const at::Generator& source = is_given ? *generator : at::mps::detail::getDefaultMPSGenerator();
  auto* const device_generator = at::check_generator<at::MPSGeneratorImpl>(source);
  const std::lock_guard lock(device_generator->mutex_);
  uint64_t mixed = device_generator->get_offset();
  for (uint32_t word = 0; word < at::mps::detail::PHILOX_STATE_N; word++) {
    constexpr uint64_t golden_ratio = 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ device_generator->state_data()[word]) * golden_ratio;
    mixed ^= mixed >> 29;
  }
  device_generator->update_philox_counters();
  return at::make_generator<at::CPUGeneratorImpl>(mixed);
}

} // namespace metalsim::mps
