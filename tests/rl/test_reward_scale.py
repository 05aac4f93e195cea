import torch

from embodied_ssl.rl.reward_scale import MEMORY_BATCHES, RewardScale


def batches(num: int = 20) -> torch.Tensor:
    return 3.0 + 0.5 * torch.randn(num, 32, generator=torch.Generator().manual_seed(0))


def test_equals_the_standard_deviation_of_all_rewards_seen():
    scale = RewardScale.new(torch.device("cpu"))
    for batch in batches():
        scale = scale.after(batch, torch.ones(32))
    torch.testing.assert_close(scale.std(), batches().flatten().std(unbiased=False), rtol=1e-4, atol=0)
    torch.testing.assert_close(scale.mean, batches().mean(), rtol=1e-5, atol=0)


def test_illegal_rewards_do_not_count():
    mask = (torch.arange(32) < 20).float()
    seen = RewardScale.new(torch.device("cpu")).after(batches()[0], mask)
    alone = RewardScale.new(torch.device("cpu")).after(batches()[0][:20], torch.ones(20))
    torch.testing.assert_close(seen.std(), alone.std())
    assert seen.after(batches()[1], torch.zeros(32)) == seen


def test_equal_rewards_are_left_alone_and_memory_is_bounded():
    scale = RewardScale.new(torch.device("cpu"))
    assert scale.std().item() == 1.0
    scale = scale.after(torch.full((8,), 2.0), torch.ones(8))
    assert scale.std().item() == 1.0
    full = scale._replace(num_batches=torch.tensor(float(MEMORY_BATCHES)))
    assert full.after(torch.zeros(8), torch.ones(8)).num_batches.item() == MEMORY_BATCHES
