"""Long runs of the trace reader and of the schema validator: long traces in constant memory, many damaged inputs."""

import copy
import random

from tests.replay import test_schemas, test_trace_format
from tests.replay.test_schemas import SEED, WRONG, places, put, small_samples


class LongTraceTest(test_trace_format.StreamingTest):
    def test_memory_of_a_trace_of_20000_turns(self):
        _, small = self.peak(500)
        count, large = self.peak(20_000)
        self.assertEqual(count, 20_000)
        self.assertLess(large, small + 256 * 1024)
        self.assertLess(large, 512 * 1024)


class ManyDamagedTracesTest(test_trace_format.MutationTest):
    ATTEMPTS = 20_000
    STEP = 1


class ManyMutationsTest(test_schemas.AgreementTest):
    def test_every_schema_is_one(self):
        for name, validator in self.validators.items():
            with self.subTest(name):
                validator.check_schema(validator.schema)

    def test_the_validators_agree_about_many_mutated_documents(self):
        draw = random.Random(SEED + 1)
        for name, original in small_samples():
            every = list(places(original))
            for place in draw.choices(every, k=60):
                record = copy.deepcopy(original)
                put(*place, draw.choice(WRONG))(record)
                self.assert_agreement(name, record)
