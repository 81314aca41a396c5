"""Batches for all replicas of a strategy, starting at any step."""

from __future__ import annotations

from collections.abc import Iterator

from ..process.backend import tf
from ..process.errors import BadInput
from .augmentation import Augmentation
from .batches import ROUNDS, test_batches, training_batches


class Feed:
    """A data set's batches under the current strategy: every worker reads its part, every replica gets its share.

    The images in a global batch, and the order of the replicas' shares, do not depend on the strategy.

    Args:
        data: The images.
        batch_size: Images per step, over all replicas.
        augmentation: The augmentation of training images.
        seed: Seed of order and augmentation.
        workers: How many processes the strategy spans; 1 by default.
        rounds: Of the shuffle; see `batches.order`.
        balanced: Whether each class comes as often.

    Raises:
        BadInput: if a worker's part of the batch is odd where neighbours are mixed.
    """

    def __init__(
        self,
        data,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        workers: int = 1,
        rounds: int = ROUNDS,
        balanced: bool = False,
    ):
        self.data, self.batch_size, self.augmentation = data, batch_size, augmentation
        self.seed, self.rounds, self.balanced = seed, rounds, balanced
        self.strategy, self.workers = tf.distribute.get_strategy(), workers
        part = batch_size // workers
        if augmentation.mixes and part % 2:
            raise BadInput(
                f"--mixup and --cutmix mix neighbours and require an even batch per worker; got "
                f"--batch_size={batch_size} over {workers} workers, {part} each."
            )

    def training(self, first_step: int) -> Iterator:
        """An endless stream of batches, starting at `first_step`."""

        def batches(shard: int):
            place = first_step, shard, self.workers
            return training_batches(
                self.data, self.batch_size, self.augmentation, self.seed, *place, self.rounds, self.balanced
            )

        return iter(self._distributed(batches))

    def testing(self, split: str | None = None):
        """Batches with every image of a split once, over all replicas; by default of the one watched in training."""
        data = self.data.testing_on(split or self.data.watched)
        return self._distributed(lambda shard: test_batches(data, self.batch_size, shard, self.workers))

    def _distributed(self, batches):
        if self.strategy.num_replicas_in_sync == 1:
            return batches(0)

        def of_worker(context):
            local = context.num_replicas_in_sync // context.num_input_pipelines

            def shares(*batch):
                return tuple(tf.reshape(part, [local, -1, *part.shape[1:]]) for part in batch)

            return batches(context.input_pipeline_id).map(shares).unbatch().prefetch(local)

        return self.strategy.distribute_datasets_from_function(of_worker)
