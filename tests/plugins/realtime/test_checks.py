"""The 30 checks of a client of OpenAI's Realtime API, and the tests that make them.

The checks are those of the protocol reference that this client was built from.
"""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[2]
ELSEWHERE = {
    "mute_gate": "plugins",
    "live_calls": "plugins/realtime_server",
    "supervisor": "pipeline",
    "call_life": "behaviour",
    "kiosk": "behaviour",
}

CHECKS = {
    1: ("nobody is asked for our addresses", "wire: our_half_of_a_call_asks_nobody"),
    2: ("a machine with nothing but loopback will do",
        "live_calls: a_machine_with_nothing_but_loopback_will_do"),
    3: ("the offer has audio both ways and the channel oai-events",
        "wire: our_half_of_a_call_asks_nobody",
        "call: a_call_is_placed_announced_and_hung_up"),
    4: ("a slow answer does not hold the loop",
        "signaling: a_slow_server_does_not_hold_the_loop_and_is_given_up"),
    5: ("a refusal is a typed error, and its body is no answer",
        "signaling: a_refusal_says_status_code_and_message",
        "signaling: an_answer_that_is_no_sdp"),
    6: ("429 and 5xx are tried again, 4xx not",
        "life: what_may_pass_is_tried_again",
        "life: what_will_not_pass_is_not_tried_again"),
    7: ("the key is in no log, no representation, no recording",
        "options: keys_show_nowhere", "call: the_key_is_in_no_log_and_no_event",
        "websocket_call: a_refusal_is_named_without_the_key",
        "kiosk: over_two_processes_and_the_key_is_nowhere"),
    8: ("the call has its name, and is hung up",
        "signaling: the_call_id_is_the_locations_last_word_and_nothing_else",
        "call: a_call_is_placed_announced_and_hung_up"),
    9: ("nobody is heard before the session stands",
        "call: a_foreign_ephemeral_key_has_the_session_updated_before_anybody_is_heard",
        "call: the_visitor_is_silent_until_the_conversation_begins",
        "call: a_session_that_is_never_confirmed_is_gone_on_with_and_said"),
    10: ("frames of any size, rate, layout and format leave pure and at their level",
         "wire: any_frames_leave_pure_and_at_their_level",
         "tracks: the_track_sends_silence_before_between_and_after",
         "tracks: the_level_survives_aiortcs_encoder"),
    11: ("50 packets a second, 960 samples apart",
         "wire: fifty_packets_a_second_leave_960_samples_apart"),
    12: ("where the source stalls silence leaves in time",
         "tracks: the_track_sends_silence_before_between_and_after"),
    13: ("a mute sends zeros, and nothing stale comes after it",
         "mute_gate: open_lets_everything_through_and_closed_gives_zeros",
         "wire: what_is_muted_leaves_as_zeros_and_never_later"),
    14: ("a gate closes within a frame", "wire: what_is_muted_leaves_as_zeros_and_never_later",
         "mute_gate: close_silences_at_once_what_is_held_too"),
    15: ("the far end is always listened to; what is dropped is said",
         "tracks: what_is_played_before_anybody_listens_is_dropped",
         "tracks: what_nobody_takes_is_dropped_said_and_bounded"),
    16: ("a second of tone arrives whole and pure",
         "tracks: a_second_of_tone_arrives_whole_and_pure",
         "call: an_echo_keeps_level_frequency_and_length"),
    17: ("one lost packet costs neither sound nor delay",
         "tracks: a_lost_packet_is_no_hole",
         "jitter_buffer: one_lost_packet_is_made_up_and_costs_no_time",
         "network: lost_packets_are_made_up_and_leave_no_delay_behind"),
    18: ("the last packets are played",
         "jitter_buffer: the_last_packet_is_played_without_a_next_one",
         "tracks: what_waits_when_the_track_ends_is_still_played"),
    19: ("an answer ends when it has been played",
         "protocol: the_end_of_the_playing_is_the_end_and_not_response_done",
         "mute_gate: half_duplex_waits_for_the_speaker_too"),
    20: ("an interruption silences what follows the call",
         "interruptions: a_barge_in_lets_nothing_stale_through_and_all_of_the_next_answer",
         "interruptions: a_local_event_silences_the_model_and_the_server_is_told"),
    21: ("cleared, truncated and done in any order end the same",
         "protocol: any_order_of_cleared_truncated_and_done_ends_the_same",
         "floor: any_order_ends_the_same"),
    22: ("news of an old response changes nothing",
         "protocol: late_news_of_an_old_response_changes_nothing",
         "floor: news_of_an_old_answer_does_not_touch_the_new_one"),
    23: ("one response.create at a time; an error frees the slot",
         "protocol: two_requests_become_two_responses_one_after_the_other",
         "protocol: a_refused_request_frees_the_slot_and_is_not_repeated_for_ever"),
    24: ("cancelling nothing is harmless",
         "protocol: cancel_stops_what_is_generated_and_always_what_is_played",
         "protocol: errors_that_happen_are_no_end"),
    25: ("unknown events and fields pass through", "protocol: an_unknown_event_passes_through"),
    26: ("what is no event ends nothing",
         "protocol: what_is_no_event_is_counted_and_ignored",
         "call: rubbish_and_floods_do_not_end_a_call"),
    27: ("a subscriber's exception ends nothing",
         "supervisor: a_subscriber_that_raises_is_reported_and_ends_nothing"),
    28: ("transcripts that interleave go to their items",
         "protocol: a_transcription_that_fails_or_interleaves_is_assigned_by_item"),
    29: ("a dead server is noticed; a session that expires is followed by another",
         "call: a_server_that_dies_without_a_word_is_noticed",
         "websocket_call: a_dead_server_is_noticed",
         "call_life: a_server_that_freezes_and_one_that_is_killed_and_comes_back",
         "life: an_expired_session_is_followed_by_another",
         "life: the_next_call_takes_over_before_the_session_ends"),
    30: ("nothing is left of a call, however often it is closed",
         "call: nothing_is_left_of_a_call", "wire: a_call_is_closed_once_or_twice"),
}  # fmt: skip


def test_there_are_thirty() -> None:
    assert sorted(CHECKS) == list(range(1, 31))


def test_each_is_made_by_tests_that_exist() -> None:
    made = {test for _, *tests in CHECKS.values() for test in tests}
    exist = set()
    for module in {test.partition(": ")[0] for test in made}:
        folder = TESTS / ELSEWHERE.get(module, "plugins/realtime")
        source = (folder / f"test_{module}.py").read_text(encoding="utf-8")
        exist |= {
            f"{module}: {node.name.removeprefix('test_')}"
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    assert made - exist == set()
