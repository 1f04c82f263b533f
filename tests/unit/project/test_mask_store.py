from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.object_state import ObjectState
from engine.project.mask_codec import decode_mask, encode_mask, without_objects
from engine.project.mask_store import MaskStore
from engine.runtime.messages import MaskKind

K, T, S = MaskKind.KEYFRAME, MaskKind.TRACKED, MaskKind.STALE


def mask_with(*object_ids):
    mask = np.zeros((6, 8), np.uint8)
    for object_id in object_ids:
        mask[object_id % 6, 2:5] = object_id
    return mask


def tracked(store, *indices, mask=None):
    for index in indices:
        store.put_tracked(index, encode_mask(mask_with(1) if mask is None else mask), {1: 0.5})


# -- the codec -----------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_every_mask_comes_back_exactly(mask):
    encoded = encode_mask(mask)
    assert np.array_equal(decode_mask(encoded), mask)
    assert encoded.object_ids == tuple(i for i in np.unique(mask) if i)


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 3)),
    st.frozensets(st.integers(1, 4)),
)
def test_removed_objects_become_background_and_nothing_else_changes(mask, gone):
    expected = np.where(np.isin(mask, list(gone)), 0, mask)
    result = without_objects(encode_mask(mask), gone)
    assert np.array_equal(decode_mask(result), expected)
    assert result.object_ids == tuple(i for i in np.unique(expected) if i)


def test_a_480p_mask_takes_about_a_kilobyte():
    y, x = np.mgrid[0:480, 0:854]
    mask = ((x - 400) ** 2 + (y - 240) ** 2 < 150**2).astype(np.uint8)
    assert encode_mask(mask).nbytes < 2000
    long_runs = np.zeros((2160, 3840), np.uint8)  # one run of more than 2^16 pixels
    assert np.array_equal(decode_mask(encode_mask(long_runs)), long_runs)


def test_masks_that_are_not_contiguous_or_not_masks():
    mask = np.arange(48, dtype=np.uint8).reshape(6, 8)
    assert np.array_equal(decode_mask(encode_mask(mask[:, ::2])), mask[:, ::2])
    with pytest.raises(ValueError, match="uint8"):
        encode_mask(mask.astype(np.int32))


# -- the rules of the store ----------------------------------------------------------------------------------------


def test_an_edit_makes_later_masks_stale_up_to_the_next_keyframe():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1), [1])
    tracked(store, 1, 2, 3)
    store.put_keyframe(4, mask_with(1), [1])
    tracked(store, 5, 6)
    change = store.put_keyframe(2, mask_with(1), [1])
    assert store.kinds() == {0: K, 1: T, 2: K, 3: S, 4: K, 5: T, 6: T}
    assert (change.first, change.last) == (2, 3)
    tracked(store, 3)
    assert store.kind(3) is T
    change = store.remove(4)
    assert change.keyframes_gone == (4,)
    assert store.kinds() == {0: K, 1: T, 2: K, 3: T, 5: S, 6: S}


def test_a_tracked_mask_never_replaces_the_users():
    store = MaskStore()
    mask = mask_with(1)
    store.put_keyframe(3, mask, [1])
    assert not store.put_tracked(3, encode_mask(mask_with(2)))
    assert np.array_equal(store.get(3)[0], mask)
    assert store.get(3)[1] is K


def test_painting_taken_back_to_nothing_is_no_keyframe():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1), [1])
    change = store.put_keyframe(0, mask_with(), [1])
    assert change.keyframes_gone == (0,)
    assert store.kinds() == {}
    assert store.byte_count == 0


def test_erasing_what_was_tracked_says_that_the_object_is_not_there():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    tracked(store, 1, mask=mask_with(1, 2))
    store.put_keyframe(1, mask_with(2), [1])  # object 1 erased in one go
    assert store.kind(1) is K
    assert store.keyframe(1).touched == {1}
    store.put_keyframe(2, mask_with(3), [3])  # painted here and taken back, over what is shown of object 2
    store.put_keyframe(2, mask_with(2), [3])
    assert store.kind(2) is T


def test_a_correction_taken_back_leaves_the_tracked_mask_as_it_was():
    """Otherwise undo would teach the tracker that its own mistake is right."""
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    tracked(store, 1, 2, mask=mask_with(1, 2))
    wider = mask_with(1, 2)
    wider[1, 0] = 1
    store.put_keyframe(1, wider, [1])
    assert store.keyframe(1).touched == {1}
    change = store.put_keyframe(1, mask_with(1, 2), [1])
    assert change.keyframes_gone == (1,)
    assert store.kinds() == {0: K, 1: T, 2: S}
    assert store.confidence(1) == {1: 0.5}
    store.put_keyframe(2, wider, [1])
    store.put_keyframe(2, mask_with(1, 2), [1])
    assert store.kind(2) is S
    assert store.byte_count == 3 * encode_mask(mask_with(1, 2)).nbytes


def test_taking_back_the_correction_of_one_object_leaves_that_of_another():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    tracked(store, 1, mask=mask_with(1, 2))
    one, both = mask_with(1, 2), mask_with(1, 2)
    one[1, 0] = both[1, 0] = 1
    both[2, 0] = 2
    store.put_keyframe(1, one, [1])
    store.put_keyframe(1, both, [2])
    store.put_keyframe(1, one, [2])
    assert store.keyframe(1).touched == {1}
    assert np.array_equal(store.get(1)[0], one)


def test_a_pinned_mask_stays_pinned_when_a_later_stroke_is_taken_back():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1), [1])
    tracked(store, 1)
    store.put_keyframe(1, mask_with(1), [1])
    assert store.kind(1) is K
    store.put_keyframe(1, mask_with(1, 2), [2])
    store.put_keyframe(1, mask_with(1), [2])
    assert store.kind(1) is K


def test_touched_ids_add_up_over_the_edits_of_a_frame():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1), [1])
    first = store.keyframe(0).version
    store.put_keyframe(0, mask_with(1, 2), [2])
    assert store.keyframe(0).touched == {1, 2}
    assert store.keyframe(0).version != first


def test_deleting_an_object():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    store.put_keyframe(5, mask_with(2), [2])
    tracked(store, 1, mask=mask_with(1, 2))
    version = store.keyframe(0).version
    change = store.delete_object(2)
    assert change.keyframes_gone == (5,)
    assert (change.first, change.last) == (0, 5)
    assert store.kinds() == {0: K, 1: T}
    assert store.object_ids == (1,)
    assert np.array_equal(store.get(1)[0], mask_with(1))
    assert store.keyframe(0).version == version
    store.delete_object(1)
    assert store.kinds() == {}
    assert store.object_ids == store.painted_ids == ()


def test_a_deleted_object_comes_back_wherever_nothing_was_made_anew():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    store.put_keyframe(5, mask_with(2), [2])
    tracked(store, 1, 2, 3, mask=mask_with(1, 2))
    store.put_keyframe(4, mask_with(1), [1])
    store.remove(4)
    before = {index: (mask.tobytes(), store.kind(index)) for index, mask in store.snapshot().items()}
    version = store.keyframe(0).version
    store.delete_object(2)
    store.put_tracked(2, encode_mask(mask_with(3)))  # tracked anew meanwhile
    store.put_keyframe(0, mask_with(1, 3), [3])
    store.put_keyframe(0, mask_with(1), [3])  # an edit, and its undo
    change = store.restore_object(2)
    assert (change.first, change.last) == (0, 5)
    after = {index: (mask.tobytes(), store.kind(index)) for index, mask in store.snapshot().items()}
    stale = {index: (mask, S if kind is T else kind) for index, (mask, kind) in before.items()}
    assert after == {**stale, 2: (mask_with(3).tobytes(), S)}  # the pixels to the byte; the edit made them stale
    assert store.keyframe(0).version > version  # the tracker has to see it again
    assert store.put_keyframe(0, mask_with(1, 2), [2]).first is None  # the same once more says nothing
    assert store.restore_object(2).first is None


def test_a_pin_can_be_taken_back():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1), [1])
    store.put_tracked(3, encode_mask(mask_with(1)), {1: 0.7})
    assert store.unpin(3).first is None
    store.put_keyframe(3, mask_with(1), [1])
    assert store.kind(3) is K
    assert store.unpin(3).keyframes_gone == (3,)
    assert store.kind(3) is T
    assert store.confidence(3) == {1: 0.7}
    store.put_keyframe(3, mask_with(1), [1])
    store.put_keyframe(3, mask_with(1, 2), [2])  # painted on since
    assert store.unpin(3).first is None
    assert store.unpin(0).first is None
    assert store.kinds() == {0: K, 3: K}


def test_a_merge_turns_every_mask_and_is_taken_back_to_the_byte():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2, 3), [1, 2, 3])
    tracked(store, 1, 2, mask=mask_with(1, 2))
    store.put_keyframe(2, mask_with(1), [2])  # 2 is not here
    store.put_tracked(3, encode_mask(mask_with(1)), {1: 0.9, 2: 0.1}, {1: ObjectState.SURE, 2: ObjectState.LOST})
    store.put_keyframe(5, mask_with(2), [2])
    before, states = store.contents(), store.all_states()
    masks = {index: mask.tobytes() for index, mask in store.snapshot().items()}
    change = store.merge_objects(2, 1)
    assert (change.first, change.last, change.keyframes_gone) == (0, 5, ())
    for index, data in masks.items():
        mask = np.frombuffer(data, np.uint8).reshape(6, 8)
        assert np.array_equal(store.get(index)[0], np.where(mask == 2, 1, mask))
    assert store.object_ids == store.painted_ids == (1, 3)
    assert store.keyframe(5).touched == {1}
    assert store.confidence(3) == {1: 0.9}  # the part that is there speaks for the whole
    assert store.states(3) == {1: ObjectState.SURE}
    store.restore_object(2)
    after = store.contents()
    assert after.tracked == before.tracked
    assert after.stale == before.stale
    assert {i: dataclasses.replace(k, version=0) for i, k in after.keyframes.items()} == {
        i: dataclasses.replace(k, version=0) for i, k in before.keyframes.items()
    }
    assert store.all_states() == states


def test_a_frame_tracked_since_a_merge_stays_as_it_is():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    tracked(store, 1, 2, mask=mask_with(1, 2))
    store.merge_objects(2, 1)
    store.put_tracked(2, encode_mask(mask_with(1)))
    store.restore_object(2)
    assert np.array_equal(store.get(1)[0], mask_with(1, 2))
    assert np.array_equal(store.get(2)[0], mask_with(1))


def test_an_id_that_is_used_again_brings_nothing_back():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1, 2), [1, 2])
    tracked(store, 1, mask=mask_with(1, 2))
    store.delete_object(2)
    store.put_keyframe(3, mask_with(2), [2])
    assert store.restore_object(2).first is None
    assert np.array_equal(store.get(1)[0], mask_with(1))


def test_dropping_tracked_masks_keeps_keyframes():
    store = MaskStore()
    store.put_keyframe(0, mask_with(1), [1])
    tracked(store, 1, 2)
    change = store.drop_tracked()
    assert (change.first, change.last) == (1, 2)
    assert store.kinds() == {0: K}


def test_a_bounded_store_keeps_the_latest_and_every_keyframe():
    store = MaskStore(limit=3)
    store.put_keyframe(0, mask_with(1), [1])
    tracked(store, *range(1, 10))
    assert store.kinds() == {0: K, 7: T, 8: T, 9: T}
    tracked(store, 8)  # seen again, so it is the latest
    tracked(store, 10, 11)
    assert sorted(store.kinds()) == [0, 8, 10, 11]


def test_a_snapshot_sees_no_later_edits():
    store = MaskStore()
    store.put_keyframe(4, mask_with(1), [1])
    tracked(store, 2)
    snapshot = store.snapshot()
    store.delete_object(1)
    assert list(snapshot) == [2, 4]
    assert np.array_equal(snapshot[4], mask_with(1))
    assert 3 not in snapshot


def test_confidence_is_kept_with_tracked_masks():
    store = MaskStore()
    store.put_tracked(3, encode_mask(mask_with(1, 2)), {1: 0.9, 2: 0.4})
    assert store.confidence(3) == {1: 0.9, 2: 0.4}
    assert store.confidences() == {3: 0.4}
    store.put_keyframe(3, mask_with(1), [1])
    assert store.confidence(3) == {}


edits = st.one_of(
    st.tuples(st.just("key"), st.integers(0, 9), st.sets(st.integers(1, 3))),
    st.tuples(st.just("tracked"), st.integers(0, 9), st.sets(st.integers(1, 3))),
    st.tuples(st.just("remove"), st.integers(0, 9), st.just(set())),
    st.tuples(st.just("delete"), st.integers(1, 3), st.just(set())),
    st.tuples(st.just("restore"), st.integers(1, 3), st.just(set())),
    st.tuples(st.just("merge"), st.integers(1, 3), st.just(set())),
    st.tuples(st.just("unpin"), st.integers(0, 9), st.just(set())),
)


@settings(max_examples=60)
@given(st.lists(edits, max_size=25))
def test_counts_agree_with_the_contents_after_any_edits(steps):
    store = MaskStore(limit=6)
    for what, number, ids in steps:
        if what == "key":
            store.put_keyframe(number, mask_with(*ids), ids)
        elif what == "tracked":
            store.put_tracked(number, encode_mask(mask_with(*ids)))
        elif what == "remove":
            store.remove(number)
        elif what == "merge":
            store.merge_objects(number, number % 3 + 1)
        elif what == "restore":
            store.restore_object(number)
        elif what == "unpin":
            store.unpin(number)
        else:
            store.delete_object(number)
    masks = dict(store.snapshot())
    assert set(masks) == set(store.kinds())
    assert len(store) == len(masks)
    assert store.object_ids == tuple(sorted({int(i) for m in masks.values() for i in np.unique(m) if i}))
    assert store.byte_count == sum(encode_mask(m).nbytes for m in masks.values())


def test_many_threads_leave_consistent_counts():
    store = MaskStore(limit=20)
    store.put_keyframe(0, mask_with(1), [1])
    start = threading.Barrier(4)

    def work(seed):
        start.wait(10)
        for i in range(200):
            index = (i * 7 + seed) % 50 + 1
            store.put_tracked(index, encode_mask(mask_with(1, 2)))
            store.get(index)
            if i % 9 == 0:
                store.put_keyframe(100 + seed, mask_with(3), [3])
                store.remove(100 + seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(store) == 21
    assert store.byte_count == sum(encode_mask(m).nbytes for m in store.snapshot().values())
