"""The sentences of the notices: what happened, what it means, what to do. English and Japanese.

Each is a `str.format` template; both languages of a key take the same fields. Grouped by the module that says them.
The words of the screen itself are in `ui_texts`.
"""

from __future__ import annotations

from typing import Final

NOTICES: Final[dict[str, tuple[str, str]]] = {
    # generation and server
    "server.up": (
        "acestep-api answers: fresh music is on its way",
        "acestep-api に接続しました。新しい曲を作っています",
    ),
    "server.down": (
        "cannot reach acestep-api at {url}; the music goes on, start it with: acestep-api",
        "acestep-api（{url}）に接続できません。音楽は続きます。起動方法: acestep-api",
    ),
    "server.absent": (
        "no acestep-api at {url} yet: the built-in engine plays until it answers; start it with: acestep-api",
        "acestep-api（{url}）がまだ見つかりません。応答するまで内蔵エンジンで演奏します。起動方法: acestep-api",
    ),
    "server.restarting": (
        "make serve is starting acestep-api at {url}; the music goes on until it answers",
        "make serve が acestep-api（{url}）を起動しています。応答するまで音楽は続きます",
    ),
    "server.blocked": (
        "{reason}; the music goes on, it is tried again by itself",
        "acestep-api への経路が塞がれています（{reason}）。音楽は続き、自動で再試行します",
    ),
    "server.silent": (
        "{reason}, or still loads its models; the music goes on, nothing is asked for twice; if it stays so, restart acestep-api",
        "サーバーが応答しません（{reason}）。モデルの読み込み中か、処理中か、停止しています。音楽は続きます。続く場合は acestep-api を再起動してください",
    ),
    "server.wrong": (
        "{reason}; the music goes on, it is asked again at growing intervals",
        "acestep-api ではない応答です（{reason}）。ACESTEP_API_URL を確認してください。音楽は続き、間隔を空けて再確認します",
    ),
    "server.unwell": (
        "{reason}; the music goes on, it is asked again until it is well",
        "サーバーの応答が正常ではありません（{reason}）。音楽は続きます。回復するまで自動で再接続します",
    ),
    "server.key_refused": (
        "{reason}; the music goes on, the key is tried again every 30 s",
        "サーバーがキーを受け付けません（{reason}）。ACESTEP_API_KEY を確認してください。音楽は続き、30 秒ごとに再確認します",
    ),
    "server.refused": (
        "{reason}; the music goes on, it is asked again every 30 s",
        "サーバーが要求を拒否しました（{reason}）。音楽は続き、30 秒ごとに再確認します",
    ),
    "server.busy": (
        "{reason}; the music goes on, it is asked again at growing intervals",
        "サーバーが混み合っています（{reason}）。音楽は続きます。間隔を空けて再試行します",
    ),
    "server.loading": (
        "the server is loading its models, the first job can take minutes; the music goes on",
        "サーバーがモデルを読み込んでいます。最初の生成には数分かかることがあります。音楽は続きます",
    ),
    "job.failed": (
        "a job gave no music ({reason}): it is asked for again",
        "生成に失敗しました（{reason}）。もう一度依頼します",
    ),
    "job.hung": (
        "a job shows no sign of life ({reason}): another is asked for; if it stays so, restart acestep-api",
        "生成が止まっています（{reason}）。別の生成を依頼します。続く場合は acestep-api を再起動してください",
    ),
    "job.lost": (
        "acestep-api was restarted and forgot jobs of ours ({count}): they are asked for again",
        "acestep-api が再起動し、依頼した生成が {count} 件失われました。もう一度依頼します",
    ),
    "job.shorter": (
        "segments of {before} s fail, those of {after} s work: these are asked for, longer ones are tried now and then",
        "{before} 秒の生成は失敗し、{after} 秒では成功します。以後は {after} 秒で依頼し、長いものもときどき試します",
    ),
    "job.longer": (
        "segments of {after} s work again: asked for from now on",
        "{after} 秒の生成が再び成功しました。以後この長さで依頼します",
    ),
    "job.rarely": (
        "jobs of every length fail, with and without the language model: one try a minute from now on; see the log of acestep-api (out of memory?) and restart it",
        "長さや言語モデルの有無にかかわらず生成が失敗するため、1 分に 1 回だけ試します。acestep-api のログ（メモリ不足など）を確認し、再起動してください",
    ),
    "job.works": (
        "jobs work again: asked for as usual",
        "生成が再び成功しました。通常どおり依頼します",
    ),
    "job.no_thinking": (
        "jobs work only without the language model (in the server's log: 5Hz LM init failed): done so, and tried with it now and then; to mend it, restart acestep-api with a smaller LM_MODEL_PATH or set THINKING=false",
        "言語モデルなしでのみ生成できます（サーバーのログ: 5Hz LM init failed）。以後はなしで続け、ときどき再確認します。直すには小さい LM_MODEL_PATH で acestep-api を再起動するか、THINKING=false にしてください",
    ),
    "job.thinking": (
        "jobs with the language model work again: it is used from now on",
        "言語モデルを使った生成が再び成功しました。以後は言語モデルを使います",
    ),
    "segment.rejected": (
        "a generated file cannot be used ({reason}): it is left out",
        "生成されたファイルを使えません（{reason}）。再生せずに除外します",
    ),
    "segment.cut_off": (
        "{name} is cut off ({missing}): what is there is used",
        "{name} は途中で切れています（{missing}）。ある分だけを使います",
    ),
    "segment.unstored": (
        "a generated segment could not be stored ({reason}): please check the disk; the music goes on",
        "生成した曲を保存できませんでした（{reason}）。ディスクを確認してください。音楽は続きます",
    ),
    # spool
    "spool.full": (
        "the disk is full: new music stays in memory and plays on; please free some space around {folder}",
        "ディスクがいっぱいです。新しい曲はメモリに置いて再生を続けます。{folder} の空きを増やしてください",
    ),
    "spool.refused": (
        "cannot write to the spool {folder} ({reason}); the music goes on from memory, please check the folder",
        "保存フォルダ {folder} に書き込めません（{reason}）。メモリから再生を続けます。フォルダを確認してください",
    ),
    "spool.writable": (
        "the spool can be written again; nothing was lost",
        "保存フォルダに再び書き込めるようになりました。失われた曲はありません",
    ),
    "spool.remade": (
        "the spool folder was deleted while playing; it was made again in {folder}, the music goes on",
        "再生中に保存フォルダが削除されたため、{folder} に作り直しました。音楽は続きます",
    ),
    "spool.hangs": (
        "the disk of {folder} does not answer: the music goes on from memory and will be saved when it does",
        "{folder} のディスクが応答しません。音楽はメモリから続き、応答が戻りしだい保存します",
    ),
    "spool.answers": ("the disk of {folder} answers again", "{folder} のディスクが応答するようになりました"),
    "spool.busy": (
        "the spool cannot be used: {reason}; nothing is saved",
        "保存フォルダを使えません: {reason}。曲は保存されません",
    ),
    "spool.unsaved": (
        "not saved, as the disk did not take it: music in memory, pieces: {count} ({folder})",
        "ディスクに書き込めず、メモリにあった {count} 曲は保存されませんでした（{folder}）",
    ),
    "spool.keep_failed": (
        "the liked piece cannot be saved yet; it stays while the program runs, please check the disk",
        "お気に入りをまだ保存できません。終了するまでは保持します。ディスクを確認してください",
    ),
    # sound
    "player.no_device": (
        "no sound device: the music waits and starts again by itself; please connect one or start the sound server",
        "音声デバイスがありません。音楽は待機し、接続されれば自動的に再開します",
    ),
    "player.device_back": (
        "the sound device is back; the music goes on where it stopped",
        "音声デバイスが戻りました。続きから再生します",
    ),
    "player.suspended": (
        "the sound device is suspended: the music waits and goes on by itself when it is resumed",
        "音声デバイスが一時停止されています。再開されると、続きから再生します",
    ),
    "sound.stream_muted": (
        "this program's sound is muted or at 0 in the system's sound settings: please turn it on there",
        "システムの音声設定で、このプログラムの音が消音または音量 0 になっています。設定を確認してください",
    ),
    "sound.device_muted": (
        "the sound device is muted or at 0 in the system's sound settings: please turn it on there",
        "システムの音声設定で、音声デバイスが消音または音量 0 になっています。設定を確認してください",
    ),
    "sound.heard": ("the system no longer mutes the music", "システムの消音が解除されました"),
    # what plays, and why
    "source.fresh": ("fresh music plays", "新しい曲を再生しています"),
    "source.library": (
        "no fresh segment is ready: a piece from your library plays",
        "新しい曲がまだないため、ライブラリから再生しています",
    ),
    "source.builtin": (
        "nothing fresh and nothing in the library: the built-in engine plays",
        "新しい曲もライブラリの曲もないため、内蔵エンジンで演奏しています",
    ),
    "source.bed": ("soft noise plays until there is music", "曲ができるまで静かなノイズを流しています"),
    "loader.corrupt": (
        "{name} cannot be played ({reason}) and was left out; the music goes on",
        "{name} は再生できないため（{reason}）除外しました。音楽は続きます",
    ),
    "mood.changed": (
        "another mood: the music changes over as soon as its first piece is ready",
        "雰囲気を変えます。最初の曲ができ次第、切り替わります",
    ),
    "like.kept": ("liked: kept for good (seed {seed})", "お気に入りに保存しました（シード {seed}）"),
    "like.taken_back": ("like taken back", "お気に入りを取り消しました"),
    "like.nothing": (
        "soft noise plays: there is no piece to like or dislike",
        "ノイズを再生中のため、評価する曲がありません",
    ),
    "like.never_again": ("this piece never plays again", "この曲は二度と再生しません"),
    "recorder.started": ("recording to {path}", "録音を開始しました: {path}"),
    "recorder.ended": ("recorded: {path}", "録音しました: {path}"),
    "recorder.late": (
        "the disk is too slow for the recording: parts are missing in {path}; the music goes on",
        "ディスクが録音に追いつかず、{path} に欠けた部分があります。音楽は続きます",
    ),
    "recorder.incomplete": (
        "recorded, but for {seconds} s that the disk did not take: {path}",
        "録音しましたが、{seconds} 秒分はディスクに書き込めませんでした: {path}",
    ),
    "recorder.unfinished": (
        "the recording could not be finished: the disk does not answer",
        "ディスクが応答しないため、録音を完了できませんでした",
    ),
    "recorder.failed": (
        "the recording stopped ({reason}); the music goes on, please check the disk",
        "録音を中止しました（{reason}）。音楽は続きます。ディスクを確認してください",
    ),
    "stats.unwritten": (
        "the figures could not be written to {path} ({reason})",
        "{path} に集計を書き込めませんでした（{reason}）",
    ),
    "timer.break": (
        "time for a break: soft noise, and nothing new is made",
        "休憩の時間です。静かなノイズを流し、生成も休みます",
    ),
    "timer.work": ("back to work: the music comes back", "作業に戻りましょう。音楽が戻ります"),
    "timer.ending": ("the time is up: the music fades out", "時間になりました。音楽をフェードアウトします"),
    "thread.failed": (
        "the part named {name} failed and starts again; the music goes on, details are in the log",
        "「{name}」でエラーが起きたため再開します。音楽は続きます。詳細はログにあります",
    ),
    "instruments.no_font": (
        "the built-in music would sound better with real instruments; install them with: {install}",
        "内蔵エンジンの音は、実際の楽器の音源を入れるとさらに良くなります。インストール方法: {install}",
    ),
    "instruments.no_library": (
        "the built-in music would sound better with FluidSynth 2.2 or newer; install it with: {install}",
        "内蔵エンジンの音は、FluidSynth（2.2 以降）を入れるとさらに良くなります。インストール方法: {install}",
    ),
    "instruments.broken_font": (
        "FluidSynth cannot read {path}: the built-in music plays without real instruments; give another SOUNDFONT",
        "FluidSynth で {path} を読み込めないため、実際の楽器の音を使わずに演奏します。SOUNDFONT に別のファイルを指定してください",
    ),
    "config.warning": ("please look at .env: {sentence}", ".env をご確認ください: {sentence}"),
}
