"""What `--check`, `--list-stations`, `--library`, `--render` and `--serve` print, in English and Japanese.

Each is a `str.format` template; both languages of a key take the same fields. `{reason}` is a sentence of an error.
"""

from __future__ import annotations

from typing import Final

MODES: Final[dict[str, tuple[str, str]]] = {
    # --check: the columns
    "ui.check.ok": ("ok", "OK"),
    "ui.check.warning": ("warning", "注意"),
    "ui.check.problem": ("problem", "問題"),
    "ui.check.settings": ("settings", "設定"),
    "ui.check.vlc": ("libVLC", "libVLC"),
    "ui.check.sound": ("sound device", "音声デバイス"),
    "ui.check.instruments": ("instruments", "楽器の音源"),
    "ui.check.server": ("server", "サーバー"),
    "ui.check.key": ("server's key", "サーバーのキー"),
    "ui.check.model": ("model", "モデル"),
    "ui.check.lm": ("language model", "言語モデル"),
    "ui.check.speed": ("speed", "速さ"),
    "ui.check.spool": ("spool", "保存フォルダ"),
    "ui.check.disk": ("disk", "ディスク"),
    "ui.check.terminal": ("terminal", "端末"),
    "ui.check.waiting": ("waiting for music: {time}", "生成を待っています: {time}"),
    # settings
    "check.settings.ok": ("every value can be used", "すべての値が使えます"),
    "check.settings.fault": ("{fault}", "値を直してください: {fault}"),
    "check.settings.warning": ("{sentence}", "確認してください: {sentence}"),
    "check.settings.first": (
        "server, spool and disk were not examined: correct the settings, then check again",
        "サーバーと保存フォルダとディスクは調べていません。設定を直してから、もう一度確認してください",
    ),
    # sound
    "check.vlc.ok": (
        "version {version} plays",
        "バージョン {version} で再生できます",
    ),
    "check.instruments.ok": ("FluidSynth plays {path}", "FluidSynth で {path} を使います"),
    "check.vlc.missing": ("{reason}", "音を出せません: {reason}"),
    "check.vlc.silent": (
        "version {version} starts but plays nothing: install its plugins anew",
        "バージョン {version} は起動しますが再生できません。プラグインを入れ直してください",
    ),
    "check.vlc.version": (
        "version {version} was never tried with this program: if the sound misbehaves, install VLC 3",
        "バージョン {version} は動作を確かめていません。音がおかしい場合は VLC 3 を入れてください",
    ),
    "check.sound.ok": ("took a moment of silence without complaint", "無音を再生して確かめました。使えます"),
    "check.sound.off": ("not used: AUDIO_OUTPUT={output}", "使いません（AUDIO_OUTPUT={output}）"),
    "check.sound.none": (
        "there is none{reason}: connect one or start the sound server; until then the music waits",
        "見つかりません{reason}。接続するか、サウンドサーバーを起動してください。それまで音楽は待機します",
    ),
    "check.sound.stream_muted": (
        "mutes this program's sound, or has it at 0: turn it on in the system's sound settings",
        "このプログラムの音が消音または音量 0 です。システムの音声設定を確認してください",
    ),
    "check.sound.device_muted": (
        "is muted or at 0: turn it on in the system's sound settings",
        "消音または音量 0 です。システムの音声設定を確認してください",
    ),
    "check.sound.suspended": (
        "is suspended: resume it (pactl suspend-sink @DEFAULT_SINK@ 0); until then the music waits",
        "一時停止されています。再開してください（pactl suspend-sink @DEFAULT_SINK@ 0）。それまで音楽は待機します",
    ),
    "check.sound.hangs": (
        "does not answer within {seconds} s: restart the sound server (PulseAudio or PipeWire)",
        "{seconds} 秒以内に応答しません。サウンドサーバー（PulseAudio や PipeWire）を再起動してください",
    ),
    "check.sound.without_vlc": ("not examined without libVLC", "libVLC がないため調べていません"),
    # server
    "check.server.ok": ("{url} answers", "{url} が応答しています"),
    "check.server.off": ("not used: ENGINE=builtin", "使いません（ENGINE=builtin）"),
    "check.server.auto": (
        "{reason}. Until then the built-in engine plays",
        "応答するまで内蔵エンジンで演奏します。起動方法: acestep-api（{reason}）",
    ),
    "check.server.needed": (
        "{reason}. With ENGINE=acestep nothing else makes music; ENGINE=auto plays built-in music meanwhile",
        "ENGINE=acestep では他に曲を作るものがありません。acestep-api を起動するか ENGINE=auto にしてください（{reason}）",
    ),
    "check.key.ok": ("accepted", "受け付けられました"),
    "check.key.open": ("none is set, and none is asked for", "設定されていませんが、必要ありません"),
    "check.key.refused": ("{reason}", "ACESTEP_API_KEY を確認してください: {reason}"),
    "check.key.unknown": ("could not be tried: {reason}", "試せませんでした: {reason}"),
    # one short job
    "check.job.begins": (
        "asking for {seconds} s of music: the first job can take minutes, as the server loads its models (Ctrl-C ends)",
        "{seconds} 秒の曲を依頼します。最初の生成はモデルの読み込みで数分かかることがあります（Ctrl-C で中止）",
    ),
    "check.job.again": (
        "that failed; asking once more, without the language model",
        "失敗しました。言語モデルなしでもう一度依頼します",
    ),
    "check.job.ok": ("{model} makes music", "{model} で曲を作れます"),
    "check.job.failed": (
        "makes no music ({reason}): see the log of acestep-api and restart it",
        "曲を作れません（{reason}）。acestep-api のログを確認し、再起動してください",
    ),
    "check.job.refused": ("no job is taken: {reason}", "生成の依頼が断られました: {reason}"),
    "check.job.file": (
        "the file it made cannot be used ({reason}): see the log of acestep-api",
        "生成されたファイルを使えません（{reason}）。acestep-api のログを確認してください",
    ),
    "check.job.late": (
        "no music after {seconds} s: wait while it loads its models, then check again; if it stays so, restart it",
        "{seconds} 秒たっても曲ができません。読み込みを待ってもう一度確認し、続く場合は再起動してください",
    ),
    "check.lm.ok": ("{name} plans the music", "{name} が使えます"),
    "check.lm.off": ("not used: THINKING=false", "使いません（THINKING=false）"),
    "check.lm.fails": (
        "jobs work only without it (in the server's log: 5Hz LM init failed): the player does so by itself, the music is"
        " planned less well; restart acestep-api with a smaller LM_MODEL_PATH, or set THINKING=false",
        "言語モデルなしでのみ生成できます（サーバーのログ: 5Hz LM init failed）。自動的になしで続けますが、曲の構成は単純になります。"
        "小さい LM_MODEL_PATH で acestep-api を再起動するか、THINKING=false にしてください",
    ),
    "check.speed.ok": (
        "{seconds} s of music in {time}: real-time factor {factor}, faster than it is played",
        "{seconds} 秒の曲を {time}で生成しました。実時間比 {factor}、再生より速く作れます",
    ),
    "check.speed.slow": (
        "{seconds} s of music in {time}: real-time factor {factor}, slower than it is played, so earlier pieces are played"
        " in between; the first job after the server's start is always slow: check again",
        "{seconds} 秒の曲を {time}で生成しました。実時間比 {factor} で再生に追いつかず、以前の曲を間に流します。"
        "サーバー起動後の最初の生成は遅いので、もう一度確認してください",
    ),
    "check.speed.busy": (
        "{seconds} s of music in {time} while the server had other jobs: the true factor is below {factor}",
        "他の依頼と並んで {seconds} 秒の曲を {time}で生成しました。実際の実時間比は {factor} より小さいです",
    ),
    # spool, disk, terminal
    "check.spool.ok": ("{folder} can be written to", "{folder} に書き込めます"),
    "check.spool.new": ("{folder} can be made", "{folder} を作れます"),
    "check.spool.refused": (
        "cannot write to {folder} ({reason}): check its owner and rights, or set SPOOL_DIR to another folder",
        "{folder} に書き込めません（{reason}）。所有者と権限を確認するか、SPOOL_DIR を変えてください",
    ),
    "check.spool.busy": ("{reason}", "すでに再生中です: {reason}"),
    "check.disk.ok": (
        "{free} GB free: room for {hours} h of music",
        "空き {free} GB。{hours} 時間ぶんの曲を保存できます",
    ),
    "check.disk.low": (
        "{free} GB free: room for {hours} h of music, but played pieces may take {wanted} GB; free some space or lower"
        " SPOOL_MAX_MB",
        "空きは {free} GB（{hours} 時間ぶん）ですが、再生済みの曲に {wanted} GB まで使います。空きを増やすか SPOOL_MAX_MB を下げてください",
    ),
    "check.disk.full": (
        "{free} GB free: new music could only stay in memory; free some space",
        "空きが {free} GB しかなく、新しい曲を保存できません。空きを増やしてください",
    ),
    "check.terminal.ok": ("{columns} × {lines}, {encoding}", "{columns} × {lines}、{encoding} で表示できます"),
    "check.terminal.none": (
        "the output is no terminal: plain lines will be printed, without the dashboard",
        "出力先が端末ではないため、ダッシュボードの代わりに行単位で表示します",
    ),
    "check.terminal.no_keys": (
        "the input is no terminal: the keys do not work; start it in a terminal, without a pipe",
        "入力が端末ではないため、キー操作ができません。パイプを使わず端末で起動してください",
    ),
    "check.terminal.dumb": (
        "TERM={term} cannot be drawn on: set TERM=xterm-256color, or use --plain",
        "TERM={term} では画面を描けません。TERM=xterm-256color にするか --plain を使ってください",
    ),
    "check.terminal.small": (
        "{columns} × {lines} is small: make the window at least {least_columns} × {least_lines}",
        "{columns} × {lines} では狭すぎます。{least_columns} × {least_lines} 以上にしてください",
    ),
    "check.terminal.encoding": (
        "{encoding} cannot show every character: set LANG to a name that ends in .UTF-8",
        "{encoding} では表示できない文字があります。LANG を .UTF-8 で終わる値にしてください",
    ),
    "check.done.well": ("all is well: make run plays", "問題ありません。make run で再生できます"),
    "check.done.warnings": ("it will play; warnings: {count}", "再生できます。注意: {count} 件"),
    "check.done.problems": (
        "problems: {count}; do what stands beside them, then check again",
        "問題が {count} 件あります。それぞれの指示のとおりに直して、もう一度確認してください",
    ),
    # --list-stations
    "ui.stations.head.digit": ("press", "キー"),
    "ui.stations.head.name": ("station", "名前"),
    "ui.stations.head.title": ("title", "タイトル"),
    "ui.stations.head.bpm": ("bpm", "bpm"),
    "ui.stations.head.keys": ("keys", "調"),
    "stations.hint": (
        "Play one with --station NAME. While it plays, press its number, or s for all of them.",
        "--station 名前 で選べます。再生中は番号のキー、または s で一覧から選べます。",
    ),
    # --library
    "ui.library.prompt": ("prompt", "プロンプト"),
    "ui.library.station": ("station", "ステーション"),
    "ui.library.seed": ("seed", "シード"),
    "ui.library.bpm": ("bpm", "bpm"),
    "ui.library.key": ("key", "調"),
    "ui.library.signature": ("time signature", "拍子"),
    "ui.library.duration": ("duration", "長さ"),
    "ui.library.engine": ("engine", "エンジン"),
    "ui.library.made": ("made", "作成日時"),
    "ui.library.seconds": ("{asked} s asked for, {audible} s audible", "指定 {asked} 秒、聴ける部分 {audible} 秒"),
    "ui.library.length": ("{seconds} s", "{seconds} 秒"),
    "library.own": ("a file of your own", "ご自分で置いたファイル"),
    "library.count": (
        "{count} in {folder}; play them with --play-library",
        "{count}曲（{folder}）。--play-library で再生できます",
    ),
    "library.empty": (
        "nothing is in your library yet: press l while a piece plays to keep it",
        "ライブラリはまだ空です。再生中に l を押すと曲を保存します",
    ),
    "library.unreadable": (
        "cannot read {folder} ({reason}): check its owner and rights",
        "{folder} を読めません（{reason}）。所有者と権限を確認してください",
    ),
    "library.nothing_to_play": (
        "your library is empty: start without --play-library and press l while a piece plays to keep it",
        "ライブラリが空です。--play-library なしで起動し、再生中に l を押して曲を保存してください",
    ),
    # --render
    "ui.render.file": ("file", "ファイル"),
    "ui.render.pieces": ("pieces", "曲数"),
    "ui.render.duration": ("duration", "長さ"),
    "ui.render.loudness": ("loudness", "ラウドネス"),
    "ui.render.peak": ("peak", "ピーク"),
    "ui.render.silence": ("longest silence", "最長の無音"),
    "ui.render.speed": ("speed", "速さ"),
    "ui.render.of": ("{used} of {given}", "{given}曲中{used}曲"),
    "ui.render.times": ("{times} × real time", "実時間の {times} 倍"),
    "ui.render.progress": ("mixing {number} of {count}: {name}", "ミックス中 {number}/{count}: {name}"),
    "render.left_out": ("{name} is left out: {reason}", "{name} は使えないため除きます: {reason}"),
    "render.nothing": (
        "none of the files can be used: nothing was written",
        "使えるファイルがないため、何も書き出しませんでした",
    ),
    "render.no_file": (
        "-o {path}: is not a plain file; give the name of a new file",
        "-o {path} は通常のファイルではありません。新しいファイルの名前を指定してください",
    ),
    "render.no_format": (
        "-o {path}: this format cannot be written; give a name that ends in {formats}",
        "-o {path} の形式では書き出せません。{formats} で終わる名前を指定してください",
    ),
    "render.is_read": (
        "-o {path}: is one of the files to read; give another name",
        "-o {path} は読み込むファイルのひとつです。別の名前を指定してください",
    ),
    "render.unwritten": (
        "cannot write {path} ({reason}): free some space or give another place",
        "{path} に書き出せません（{reason}）。空きを増やすか、別の場所を指定してください",
    ),
    # --serve: what keeps us from it
    "serve.address": (
        "acestep-api itself speaks plain http, without a path: set ACESTEP_API_URL to http://127.0.0.1:8001 (now {url})",
        "acestep-api は http のみで、パスも使いません。ACESTEP_API_URL を http://127.0.0.1:8001 にしてください（現在 {url}）",
    ),
    "serve.elsewhere": (
        "no server of this machine can listen at {url} ({reason}): set ACESTEP_API_URL to http://127.0.0.1:8001, or"
        " start it on the machine that it names",
        "このマシンのサーバーは {url} で待ち受けられません（{reason}）。ACESTEP_API_URL を http://127.0.0.1:8001 にするか、"
        "そのアドレスのマシンで起動してください",
    ),
    "serve.answers_already": (
        "acestep-api already answers at {url}: nothing to do; to have it kept alive, end that one first",
        "acestep-api はすでに {url} で応答しています。何もしません。見張りも任せる場合は、先にそれを終了してください",
    ),
    "serve.kept_already": (
        "another make serve is starting the server at {url} or keeps it: nothing to do",
        "別の make serve が {url} のサーバーを起動または監視しています。何もしません",
    ),
    "serve.port_taken": (
        "port {port} is taken by another program: end that one (lsof -i :{port} names it), or set ACESTEP_API_URL to"
        " another port (now {url})",
        "ポート {port} は別のプログラムが使用中です。終了するか（lsof -i :{port} で確認）、ACESTEP_API_URL を"
        "別のポートにしてください（現在 {url}）",
    ),
    "serve.no_folder": (
        "there is no ACE-Step 1.5 in {folder}: set ACESTEP_DIR to where it is, or get it here, in the project's folder,"
        " with: git clone https://github.com/ace-step/ACE-Step-1.5.git ../ACE-Step-1.5",
        "{folder} に ACE-Step 1.5 がありません。ある場所を ACESTEP_DIR に指定するか、このプロジェクトのフォルダで取得してください: "
        "git clone https://github.com/ace-step/ACE-Step-1.5.git ../ACE-Step-1.5",
    ),
    "serve.no_uv": (
        "uv, which ACE-Step is started with, is not installed: get it with: curl -LsSf https://astral.sh/uv/install.sh | sh",
        "ACE-Step の起動に使う uv がありません。次で入れてください: curl -LsSf https://astral.sh/uv/install.sh | sh",
    ),
    # --serve: what was chosen
    "serve.starts": (
        "starting acestep-api from {folder}; the first start fetches packages and models, which can take long",
        "{folder} の acestep-api を起動します。初回はパッケージとモデルの取得に時間がかかります",
    ),
    "serve.no_card": (
        "no NVIDIA card whose memory is known: the server chooses by itself",
        "メモリ量の分かる NVIDIA GPU がないため、サーバーの判断に任せます",
    ),
    "serve.card": (
        "{name}, {gb} GB: enough for the model and the language model, nothing is changed",
        "{name}（{gb} GB）: 言語モデルも含めて足りるため、設定は変えません",
    ),
    "serve.small_card": (
        "{name}, {gb} GB: too small for all at once, so the model leaves the card when idle and the language model is not"
        " loaded",
        "{name}（{gb} GB）: 全部は載らないため、使わない間はモデルを GPU から降ろし、言語モデルは読み込みません",
    ),
    "serve.thinking": (
        "set THINKING=false in .env, so that the player does not ask for the language model",
        "プレイヤーが言語モデルを要求しないよう、.env で THINKING=false にしてください",
    ),
    "serve.kept": (
        "left as you set it: {names}",
        "指定どおりにします: {names}",
    ),
    # --serve: what happens
    "serve.up": ("the server answers at {url}, after {seconds} s", "サーバーが {url} で応答しました（{seconds} 秒後）"),
    "serve.again": (
        "it is started again in {seconds} s; its log: {log}",
        "{seconds} 秒後に再起動します。ログ: {log}",
    ),
    "serve.hung": (
        "nothing was finished for {seconds} s while jobs wait: the server is ended",
        "{seconds} 秒間何も完了せず、待っている依頼があるため、サーバーを終了させます",
    ),
    "serve.died": (
        "the server ended (exit code {code}); it last printed: {last}",
        "サーバーが終了しました（終了コード {code}）。最後の出力: {last}",
    ),
    "serve.load_failed": (
        "the server could not load its models (exit code {code}); it last printed: {last}",
        "サーバーがモデルを読み込めませんでした（終了コード {code}）。最後の出力: {last}",
    ),
    "serve.killed": (
        "the server was killed from outside (exit code {code}), as systems do when the computer's memory runs out: close"
        " other programs if that repeats",
        "サーバーが外部から強制終了されました（終了コード {code}）。メモリ不足の可能性があります。繰り返す場合は他のプログラムを終了してください",
    ),
    "serve.card_full": (
        "the card's memory ran out (exit code {code}): from now on the model leaves the card when idle and the language"
        " model is not loaded; close other programs that use the card",
        "GPU メモリが不足しました（終了コード {code}）。今後は使わない間モデルを GPU から降ろし、言語モデルは読み込みません。"
        "GPU を使う他のプログラムを終了してください",
    ),
    "serve.cannot_start": (
        "the server cannot be started ({reason})",
        "サーバーを起動できません（{reason}）",
    ),
    "serve.failed": (
        "a mistake of this program ({reason}): it goes on",
        "このプログラムの不具合です（{reason}）。続行します",
    ),
    "serve.ended": ("the server is ended", "サーバーを終了しました"),
}
