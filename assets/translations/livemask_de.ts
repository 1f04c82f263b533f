<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de">
<context>
    <name>AboutDialog</name>
    <message>
        <source>About LiveMask</source>
        <translation>Über LiveMask</translation>
    </message>
    <message>
        <source>Version %1, with Qt %2 and PyQt %3</source>
        <translation>Version %1, mit Qt %2 und PyQt %3</translation>
    </message>
    <message>
        <source>Paint an object once, and the mask follows it through the video. The method: Y. Zhang, Z. Wu, H. Peng and S. Lin, “A Transductive Approach for Video Object Segmentation”, CVPR 2020.</source>
        <translation>Malen Sie ein Objekt einmal an, und die Maske folgt ihm durch das Video. Das Verfahren: Y. Zhang, Z. Wu, H. Peng und S. Lin, „A Transductive Approach for Video Object Segmentation“, CVPR 2020.</translation>
    </message>
    <message>
        <source>Licences</source>
        <translation>Lizenzen</translation>
    </message>
</context><context>
    <name>Application</name>
    <message>
        <source>Something unexpected went wrong: %1.</source>
        <translation>Etwas Unerwartetes ist schiefgegangen: %1.</translation>
    </message>
    <message>
        <source>Your masks are still here. Export them, then report this with Help, Diagnostics.</source>
        <translation>Ihre Masken sind noch da. Exportieren Sie sie und melden Sie dies mit Hilfe, Diagnose.</translation>
    </message>
</context><context>
    <name>BoxTool</name>
    <message>
        <source>Drag a rectangle; the right button erases one</source>
        <translation>Ein Rechteck aufziehen; die rechte Taste radiert eines</translation>
    </message>
</context><context>
    <name>CameraMenu</name>
    <message>
        <source>Looking for cameras…</source>
        <translation>Kameras werden gesucht…</translation>
    </message>
    <message>
        <source>No camera found</source>
        <translation>Keine Kamera gefunden</translation>
    </message>
    <message>
        <source>Look again</source>
        <translation>Erneut suchen</translation>
    </message>
</context><context>
    <name>Canvas</name>
    <message>
        <source>Canvas</source>
        <translation>Leinwand</translation>
    </message>
    <message>
        <source>The video frame with its masks. Paint with the left button, erase with the right button.</source>
        <translation>Das Videobild mit seinen Masken. Linke Taste malt, rechte Taste radiert.</translation>
    </message>
    <message>
        <source>No object is selected. Choose one in the list, or press N for a new one.</source>
        <translation>Kein Objekt ist ausgewählt. Wählen Sie eines in der Liste oder drücken Sie N für ein neues.</translation>
    </message>
    <message>
        <source>“%1” is locked. Unlock it to change it.</source>
        <translation>„%1“ ist gesperrt. Entsperren Sie es, um es zu ändern.</translation>
    </message>
    <message>
        <source>“%1” is hidden. Show it to change it.</source>
        <translation>„%1“ ist ausgeblendet. Blenden Sie es ein, um es zu ändern.</translation>
    </message>
</context><context>
    <name>DiagnosticsDialog</name>
    <message>
        <source>Diagnostics</source>
        <translation>Diagnose</translation>
    </message>
    <message>
        <source>Findings</source>
        <translation>Befund</translation>
    </message>
    <message>
        <source>Looking at this machine…</source>
        <translation>Dieser Rechner wird untersucht…</translation>
    </message>
    <message>
        <source>The doctor said nothing.</source>
        <translation>Die Diagnose hat nichts gemeldet.</translation>
    </message>
    <message>
        <source>The doctor could not start: %1</source>
        <translation>Die Diagnose konnte nicht starten: %1</translation>
    </message>
</context><context>
    <name>DropHint</name>
    <message>
        <source>Drop to open</source>
        <translation>Zum Öffnen ablegen</translation>
    </message>
</context><context>
    <name>EditModel</name>
    <message>
        <source>Merge objects</source>
        <translation>Objekte vereinen</translation>
    </message>
</context><context>
    <name>EditingController</name>
    <message>
        <source>Keep as keyframe</source>
        <translation>Als Keyframe behalten</translation>
    </message>
    <message>
        <source>{undo_or_redo} {step}</source>
        <translation>{undo_or_redo}: {step}</translation>
    </message>
    <message>
        <source>Import mask</source>
        <translation>Maske importieren</translation>
    </message>
    <message>
        <source>There is no picture on the clipboard.</source>
        <translation>In der Zwischenablage ist kein Bild.</translation>
    </message>
    <message>
        <source>Copy a mask there first.</source>
        <translation>Kopieren Sie zuerst eine Maske dorthin.</translation>
    </message>
    <message>
        <source>The picture on the clipboard</source>
        <translation>Das Bild in der Zwischenablage</translation>
    </message>
    <message>
        <source>Paste mask</source>
        <translation>Maske einfügen</translation>
    </message>
    <message>
        <source>No earlier frame has a mask.</source>
        <translation>Kein früheres Bild hat eine Maske.</translation>
    </message>
    <message>
        <source>Paint this one, or track to it.</source>
        <translation>Malen Sie dieses an oder verfolgen Sie bis hierher.</translation>
    </message>
    <message>
        <source>The mask before is of a picture of another size.</source>
        <translation>Die vorige Maske gehört zu einem Bild anderer Größe.</translation>
    </message>
    <message>
        <source>Copy mask</source>
        <translation>Maske kopieren</translation>
    </message>
    <message>
        <source>{name} has another size than the video.</source>
        <translation>{name} hat eine andere Größe als das Video.</translation>
    </message>
    <message>
        <source>This frame has no mask to keep.</source>
        <translation>Dieses Bild hat keine Maske, die man behalten könnte.</translation>
    </message>
    <message>
        <source>&amp;Undo</source>
        <translation>&amp;Rückgängig</translation>
    </message>
    <message>
        <source>&amp;Redo</source>
        <translation>&amp;Wiederholen</translation>
    </message>
    <message>
        <source>There are 255 objects, the most a mask can hold.</source>
        <translation>Es gibt 255 Objekte, mehr kann eine Maske nicht enthalten.</translation>
    </message>
    <message>
        <source>Delete one.</source>
        <translation>Löschen Sie eines.</translation>
    </message>
    <message>
        <source>There is no object %1 yet.</source>
        <translation>Es gibt noch kein Objekt %1.</translation>
    </message>
    <message>
        <source>N adds one.</source>
        <translation>N fügt eines hinzu.</translation>
    </message>
    <message>
        <source>Object %1</source>
        <translation>Objekt %1</translation>
    </message>
    <message>
        <source>There is no frame for this mask yet.</source>
        <translation>Für diese Maske gibt es noch kein Bild.</translation>
    </message>
    <message>
        <source>Open its video first.</source>
        <translation>Öffnen Sie zuerst ihr Video.</translation>
    </message>
    <message>
        <source>Resize mask</source>
        <translation>Maskengröße anpassen</translation>
    </message>
    <message>
        <source>&amp;Resize it</source>
        <translation>&amp;Größe anpassen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
</context><context>
    <name>Engine</name>
    <message>
        <source>A GIF of more than {0} frames opens nowhere.</source>
        <translation>Ein GIF mit mehr als {0} Bildern öffnet sich nirgends.</translation>
    </message>
    <message>
        <source>A live source can only be tracked forward.</source>
        <translation>Eine Live-Quelle lässt sich nur vorwärts verfolgen.</translation>
    </message>
    <message>
        <source>A part of {0} is damaged.</source>
        <translation>Ein Teil von {0} ist beschädigt.</translation>
    </message>
    <message>
        <source>A picture of {0} is unusable: {1}.</source>
        <translation>Ein Bild von {0} ist unbrauchbar: {1}.</translation>
    </message>
    <message>
        <source>A virtual camera needs the package pyvirtualcam.</source>
        <translation>Eine virtuelle Kamera braucht das Paket pyvirtualcam.</translation>
    </message>
    <message>
        <source>A worker process died while it started (exit code {0}).</source>
        <translation>Ein Arbeitsprozess ist beim Start abgebrochen (Exit-Code {0}).</translation>
    </message>
    <message>
        <source>Add yourself to the group 'video' and log in again.</source>
        <translation>Fügen Sie sich der Gruppe „video“ hinzu und melden Sie sich neu an.</translation>
    </message>
    <message>
        <source>An int8 model is made with onnx and onnxruntime.</source>
        <translation>Ein int8-Modell entsteht mit onnx und onnxruntime.</translation>
    </message>
    <message>
        <source>Another export or recording is still running.</source>
        <translation>Ein anderer Export oder eine Aufzeichnung läuft noch.</translation>
    </message>
    <message>
        <source>Apple's MPS is not available to PyTorch here.</source>
        <translation>Apples MPS steht PyTorch hier nicht zur Verfügung.</translation>
    </message>
    <message>
        <source>Ask again in a moment.</source>
        <translation>Fragen Sie gleich noch einmal.</translation>
    </message>
    <message>
        <source>Begin it once more: the same export mends it.</source>
        <translation>Beginnen Sie noch einmal: Derselbe Export repariert es.</translation>
    </message>
    <message>
        <source>Camera {0} cannot be opened.</source>
        <translation>Kamera {0} lässt sich nicht öffnen.</translation>
    </message>
    <message>
        <source>Change its permissions or copy it to a folder of your own.</source>
        <translation>Ändern Sie die Rechte oder kopieren Sie es in einen eigenen Ordner.</translation>
    </message>
    <message>
        <source>Check it and open it again.</source>
        <translation>Prüfen und erneut öffnen.</translation>
    </message>
    <message>
        <source>Check its permissions.</source>
        <translation>Prüfen Sie die Rechte.</translation>
    </message>
    <message>
        <source>Check that it is plugged in, allowed for this program, and not used by another one.</source>
        <translation>Prüfen Sie, ob sie angeschlossen, für dieses Programm erlaubt und nicht anderweitig belegt ist.</translation>
    </message>
    <message>
        <source>Check that it is switched on and not used by another program.</source>
        <translation>Prüfen Sie, ob sie eingeschaltet und nicht von einem anderen Programm belegt ist.</translation>
    </message>
    <message>
        <source>Check that it is switched on.</source>
        <translation>Prüfen Sie, ob sie eingeschaltet ist.</translation>
    </message>
    <message>
        <source>Check the address and the network.</source>
        <translation>Prüfen Sie Adresse und Netzwerk.</translation>
    </message>
    <message>
        <source>Check the address.</source>
        <translation>Prüfen Sie die Adresse.</translation>
    </message>
    <message>
        <source>Check the connection and open it again.</source>
        <translation>Prüfen Sie die Verbindung und öffnen Sie erneut.</translation>
    </message>
    <message>
        <source>Check the disk or the connection and open it again.</source>
        <translation>Prüfen Sie Datenträger oder Verbindung und öffnen Sie erneut.</translation>
    </message>
    <message>
        <source>Check the disk or the connection.</source>
        <translation>Prüfen Sie Datenträger oder Verbindung.</translation>
    </message>
    <message>
        <source>Check the file.</source>
        <translation>Prüfen Sie die Datei.</translation>
    </message>
    <message>
        <source>Check the name and the folder.</source>
        <translation>Prüfen Sie Name und Ordner.</translation>
    </message>
    <message>
        <source>Check the name.</source>
        <translation>Prüfen Sie den Namen.</translation>
    </message>
    <message>
        <source>Check the path of the address.</source>
        <translation>Prüfen Sie den Pfad der Adresse.</translation>
    </message>
    <message>
        <source>Check the path.</source>
        <translation>Prüfen Sie den Pfad.</translation>
    </message>
    <message>
        <source>Check the port and that the camera is switched on.</source>
        <translation>Prüfen Sie den Port und ob die Kamera eingeschaltet ist.</translation>
    </message>
    <message>
        <source>Choose a PNG mask with one plain colour per object.</source>
        <translation>Wählen Sie eine PNG-Maske mit einer einheitlichen Farbe pro Objekt.</translation>
    </message>
    <message>
        <source>Choose a file or a folder.</source>
        <translation>Wählen Sie eine Datei oder einen Ordner.</translation>
    </message>
    <message>
        <source>Choose a larger mask.</source>
        <translation>Wählen Sie eine größere Maske.</translation>
    </message>
    <message>
        <source>Choose a project file.</source>
        <translation>Wählen Sie eine Projektdatei.</translation>
    </message>
    <message>
        <source>Choose a shorter range.</source>
        <translation>Wählen Sie einen kürzeren Bereich.</translation>
    </message>
    <message>
        <source>Choose a smaller one or --device cpu.</source>
        <translation>Wählen Sie ein kleineres oder --device cpu.</translation>
    </message>
    <message>
        <source>Choose a smaller one.</source>
        <translation>Wählen Sie ein kleineres.</translation>
    </message>
    <message>
        <source>Choose a smaller working size and track on.</source>
        <translation>Wählen Sie eine kleinere Arbeitsgröße und verfolgen Sie weiter.</translation>
    </message>
    <message>
        <source>Choose a smaller working size.</source>
        <translation>Wählen Sie eine kleinere Arbeitsgröße.</translation>
    </message>
    <message>
        <source>Choose an earlier one.</source>
        <translation>Wählen Sie ein früheres.</translation>
    </message>
    <message>
        <source>Choose another file.</source>
        <translation>Wählen Sie eine andere Datei.</translation>
    </message>
    <message>
        <source>Choose another folder or allow overwriting.</source>
        <translation>Wählen Sie einen anderen Ordner oder erlauben Sie das Überschreiben.</translation>
    </message>
    <message>
        <source>Choose another folder or pass --overwrite.</source>
        <translation>Wählen Sie einen anderen Ordner oder verwenden Sie --overwrite.</translation>
    </message>
    <message>
        <source>Choose another folder.</source>
        <translation>Wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Choose another mask.</source>
        <translation>Wählen Sie eine andere Maske.</translation>
    </message>
    <message>
        <source>Choose another model or device.</source>
        <translation>Wählen Sie ein anderes Modell oder Gerät.</translation>
    </message>
    <message>
        <source>Choose another name or allow overwriting.</source>
        <translation>Wählen Sie einen anderen Namen oder erlauben Sie das Überschreiben.</translation>
    </message>
    <message>
        <source>Choose another name.</source>
        <translation>Wählen Sie einen anderen Namen.</translation>
    </message>
    <message>
        <source>Choose another place for the export.</source>
        <translation>Wählen Sie einen anderen Ort für den Export.</translation>
    </message>
    <message>
        <source>Choose another place or format.</source>
        <translation>Wählen Sie einen anderen Ort oder ein anderes Format.</translation>
    </message>
    <message>
        <source>Choose another place.</source>
        <translation>Wählen Sie einen anderen Ort.</translation>
    </message>
    <message>
        <source>Choose another range.</source>
        <translation>Wählen Sie einen anderen Bereich.</translation>
    </message>
    <message>
        <source>Choose another source.</source>
        <translation>Wählen Sie eine andere Quelle.</translation>
    </message>
    <message>
        <source>Choose it again in menu File, Virtual camera.</source>
        <translation>Wählen Sie sie im Menü Datei, Virtuelle Kamera noch einmal.</translation>
    </message>
    <message>
        <source>Choose one inside it, of at least {0} x {1} pixels.</source>
        <translation>Wählen Sie einen darin, mindestens {0} x {1} Pixel groß.</translation>
    </message>
    <message>
        <source>Choose one of {0}.</source>
        <translation>Wählen Sie eines von {0}.</translation>
    </message>
    <message>
        <source>Choose the model it was made for.</source>
        <translation>Wählen Sie das Modell, für das sie gemacht sind.</translation>
    </message>
    <message>
        <source>Choose the video the project was made with.</source>
        <translation>Wählen Sie das Video, mit dem das Projekt entstand.</translation>
    </message>
    <message>
        <source>Clone the project again or name a file.</source>
        <translation>Klonen Sie das Projekt erneut oder nennen Sie eine Datei.</translation>
    </message>
    <message>
        <source>Clone the project again.</source>
        <translation>Klonen Sie das Projekt erneut.</translation>
    </message>
    <message>
        <source>Close other programs, or choose a smaller model or another device.</source>
        <translation>Schließen Sie andere Programme oder wählen Sie ein kleineres Modell oder ein anderes Gerät.</translation>
    </message>
    <message>
        <source>Convert it to MP4 (H.264) and open that.</source>
        <translation>Wandeln Sie es in MP4 (H.264) um und öffnen Sie dieses.</translation>
    </message>
    <message>
        <source>Convert it to MP4 (H.264).</source>
        <translation>Wandeln Sie es in MP4 (H.264) um.</translation>
    </message>
    <message>
        <source>Copy it, together with {0}, to another disk.</source>
        <translation>Kopieren Sie es zusammen mit {0} auf einen anderen Datenträger.</translation>
    </message>
    <message>
        <source>Copy or record it again.</source>
        <translation>Kopieren oder zeichnen Sie es erneut auf.</translation>
    </message>
    <message>
        <source>Do not trust this file.</source>
        <translation>Trauen Sie dieser Datei nicht.</translation>
    </message>
    <message>
        <source>Download or copy it again.</source>
        <translation>Laden oder kopieren Sie sie erneut.</translation>
    </message>
    <message>
        <source>Export a video instead.</source>
        <translation>Exportieren Sie stattdessen ein Video.</translation>
    </message>
    <message>
        <source>Export it again.</source>
        <translation>Exportieren Sie es erneut.</translation>
    </message>
    <message>
        <source>Export with the masks that were made for this video.</source>
        <translation>Exportieren Sie mit den Masken, die für dieses Video entstanden.</translation>
    </message>
    <message>
        <source>Exporting to ONNX needs the onnx package.</source>
        <translation>Der Export nach ONNX braucht das Paket onnx.</translation>
    </message>
    <message>
        <source>Free some space, or set LIVEMASK_CACHE to another folder.</source>
        <translation>Schaffen Sie Platz oder setzen Sie LIVEMASK_CACHE auf einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Give the weights it was exported from.</source>
        <translation>Geben Sie die Gewichte an, aus denen es exportiert wurde.</translation>
    </message>
    <message>
        <source>Install OBS Studio and start its virtual camera once; then stop it there and try again.</source>
        <translation>Installieren Sie OBS Studio, starten Sie dessen virtuelle Kamera einmal, halten Sie sie dort wieder an und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Install it: pip install ray.</source>
        <translation>Installieren Sie es: pip install ray.</translation>
    </message>
    <message>
        <source>Install v4l2loopback (Debian: v4l2loopback-dkms), then run: sudo modprobe v4l2loopback</source>
        <translation>Installieren Sie v4l2loopback (Debian: v4l2loopback-dkms) und führen Sie aus: sudo modprobe v4l2loopback</translation>
    </message>
    <message>
        <source>It has none.</source>
        <translation>Es gibt keine.</translation>
    </message>
    <message>
        <source>It has: {0}.</source>
        <translation>Es gibt: {0}.</translation>
    </message>
    <message>
        <source>It is another file, or damaged: download it again.</source>
        <translation>Es ist eine andere Datei oder beschädigt: Laden Sie sie erneut herunter.</translation>
    </message>
    <message>
        <source>It is not opened.</source>
        <translation>Es wird nicht geöffnet.</translation>
    </message>
    <message>
        <source>It is not opened; use a copy.</source>
        <translation>Es wird nicht geöffnet; verwenden Sie eine Kopie.</translation>
    </message>
    <message>
        <source>It takes a screen of X11, Windows or macOS, and the permission to record it; Wayland has none to give.</source>
        <translation>Nötig sind ein Bildschirm unter X11, Windows oder macOS und die Erlaubnis, ihn aufzunehmen; Wayland erteilt keine.</translation>
    </message>
    <message>
        <source>It takes: {0}.</source>
        <translation>Möglich ist: {0}.</translation>
    </message>
    <message>
        <source>Its mask stays in the project; only the tracker no longer looks at it.</source>
        <translation>Seine Maske bleibt im Projekt; nur die Verfolgung betrachtet sie nicht mehr.</translation>
    </message>
    <message>
        <source>Keep images of one size together.</source>
        <translation>Behalten Sie Bilder einer Größe beisammen.</translation>
    </message>
    <message>
        <source>Let it be resized, or choose a mask of the frame's size.</source>
        <translation>Lassen Sie die Größe anpassen oder wählen Sie eine Maske in der Größe des Bildes.</translation>
    </message>
    <message>
        <source>Load it with device cpu and dtype float32.</source>
        <translation>Laden Sie es mit Gerät cpu und dtype float32.</translation>
    </message>
    <message>
        <source>Make a list for each.</source>
        <translation>Legen Sie für jedes eine Liste an.</translation>
    </message>
    <message>
        <source>Make it or choose another folder.</source>
        <translation>Legen Sie ihn an oder wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Make it or choose another.</source>
        <translation>Legen Sie ihn an oder wählen Sie einen anderen.</translation>
    </message>
    <message>
        <source>Make it smaller.</source>
        <translation>Verkleinern Sie es.</translation>
    </message>
    <message>
        <source>Make room or choose another disk.</source>
        <translation>Schaffen Sie Platz oder wählen Sie einen anderen Datenträger.</translation>
    </message>
    <message>
        <source>Make room.</source>
        <translation>Schaffen Sie Platz.</translation>
    </message>
    <message>
        <source>Masks tracked from here on may differ a little.</source>
        <translation>Masken, die ab hier verfolgt werden, können ein wenig abweichen.</translation>
    </message>
    <message>
        <source>Memory ran out at a working size of {0}; tracking goes on at {1}.</source>
        <translation>Bei Arbeitsgröße {0} ging der Speicher aus; es geht mit {1} weiter.</translation>
    </message>
    <message>
        <source>Memory ran out even at the smallest working size, {0} pixels.</source>
        <translation>Der Speicher reichte selbst für die kleinste Arbeitsgröße nicht, {0} Pixel.</translation>
    </message>
    <message>
        <source>Memory ran out while tracking.</source>
        <translation>Beim Verfolgen ging der Speicher aus.</translation>
    </message>
    <message>
        <source>Menu Engine, Backend changes it at once.</source>
        <translation>Menü Engine, Backend ändert es sofort.</translation>
    </message>
    <message>
        <source>Name a .pth, .pth.tar or .safetensors file.</source>
        <translation>Nennen Sie eine Datei .pth, .pth.tar oder .safetensors.</translation>
    </message>
    <message>
        <source>Name a file with a state dict.</source>
        <translation>Nennen Sie eine Datei mit einem State-Dict.</translation>
    </message>
    <message>
        <source>Name a folder of videos, or a list of them.</source>
        <translation>Nennen Sie einen Ordner mit Videos oder eine Liste davon.</translation>
    </message>
    <message>
        <source>Name a video file or a folder of images.</source>
        <translation>Nennen Sie eine Videodatei oder einen Bildordner.</translation>
    </message>
    <message>
        <source>Name a video file, a folder of images, a camera or an address.</source>
        <translation>Nennen Sie eine Videodatei, einen Bildordner, eine Kamera oder eine Adresse.</translation>
    </message>
    <message>
        <source>Name it like the clip, in the folder of --masks.</source>
        <translation>Benennen Sie sie wie den Clip, im Ordner von --masks.</translation>
    </message>
    <message>
        <source>Name its video instead.</source>
        <translation>Nennen Sie stattdessen ihr Video.</translation>
    </message>
    <message>
        <source>Name the folder that main.py track --out has filled.</source>
        <translation>Nennen Sie den Ordner, den main.py track --out gefüllt hat.</translation>
    </message>
    <message>
        <source>Name the video too: main.py export VIDEO {0} ...</source>
        <translation>Nennen Sie auch das Video: main.py export VIDEO {0} ...</translation>
    </message>
    <message>
        <source>Name the weights alone.</source>
        <translation>Nennen Sie nur die Gewichte.</translation>
    </message>
    <message>
        <source>No CUDA device is available to PyTorch.</source>
        <translation>PyTorch steht kein CUDA-Gerät zur Verfügung.</translation>
    </message>
    <message>
        <source>No object is painted yet.</source>
        <translation>Noch ist kein Objekt gemalt.</translation>
    </message>
    <message>
        <source>No other frame in the engine's memory knows this object.</source>
        <translation>Kein anderes Bild im Gedächtnis der Engine kennt dieses Objekt.</translation>
    </message>
    <message>
        <source>No room for the download in {0} ({1} MiB free, {2} needed).</source>
        <translation>Kein Platz für den Download in {0} ({1} MiB frei, {2} nötig).</translation>
    </message>
    <message>
        <source>No source was given.</source>
        <translation>Es wurde keine Quelle angegeben.</translation>
    </message>
    <message>
        <source>No virtual camera is there, or another program sends to it.</source>
        <translation>Es gibt keine virtuelle Kamera, oder ein anderes Programm sendet an sie.</translation>
    </message>
    <message>
        <source>None of the chosen objects is in the masks.</source>
        <translation>Keines der gewählten Objekte ist in den Masken.</translation>
    </message>
    <message>
        <source>Nothing is painted yet.</source>
        <translation>Es ist noch nichts gemalt.</translation>
    </message>
    <message>
        <source>Nothing listens at {0}.</source>
        <translation>An {0} antwortet niemand.</translation>
    </message>
    <message>
        <source>Nothing was tracked while recording, so nothing was written.</source>
        <translation>Während der Aufzeichnung wurde nichts verfolgt, deshalb wurde nichts geschrieben.</translation>
    </message>
    <message>
        <source>Objects and masks are kept. Choose a smaller model, or close other programs, to work at more.</source>
        <translation>Objekte und Masken bleiben. Wählen Sie ein kleineres Modell oder schließen Sie andere Programme, um größer zu arbeiten.</translation>
    </message>
    <message>
        <source>Objects that are there: {0}.</source>
        <translation>Vorhandene Objekte: {0}.</translation>
    </message>
    <message>
        <source>Only an fp32 model on the CPU can be exported.</source>
        <translation>Nur ein fp32-Modell auf der CPU lässt sich exportieren.</translation>
    </message>
    <message>
        <source>Only live sources can be recorded.</source>
        <translation>Nur Live-Quellen lassen sich aufzeichnen.</translation>
    </message>
    <message>
        <source>Only videos and folders can be exported.</source>
        <translation>Nur Videos und Ordner lassen sich exportieren.</translation>
    </message>
    <message>
        <source>Only videos and folders can be tracked again between keyframes.</source>
        <translation>Nur Videos und Ordner lassen sich zwischen Keyframes neu verfolgen.</translation>
    </message>
    <message>
        <source>Open a file with a video track.</source>
        <translation>Öffnen Sie eine Datei mit Videospur.</translation>
    </message>
    <message>
        <source>Open a folder with PNG, JPEG, BMP, WebP or TIFF.</source>
        <translation>Öffnen Sie einen Ordner mit PNG, JPEG, BMP, WebP oder TIFF.</translation>
    </message>
    <message>
        <source>Open a video file such as MP4, MOV or MKV.</source>
        <translation>Öffnen Sie eine Videodatei wie MP4, MOV oder MKV.</translation>
    </message>
    <message>
        <source>Open a video or a camera first.</source>
        <translation>Öffnen Sie zuerst ein Video oder eine Kamera.</translation>
    </message>
    <message>
        <source>Open it again to go on.</source>
        <translation>Öffnen Sie es erneut, um weiterzumachen.</translation>
    </message>
    <message>
        <source>Open it again.</source>
        <translation>Öffnen Sie es erneut.</translation>
    </message>
    <message>
        <source>Open it as an image folder.</source>
        <translation>Öffnen Sie es als Bildordner.</translation>
    </message>
    <message>
        <source>Open the address of the stream itself, not of a web page.</source>
        <translation>Öffnen Sie die Adresse des Streams selbst, nicht die einer Webseite.</translation>
    </message>
    <message>
        <source>Opening {0} with {1} masks of {2}.</source>
        <translation>{0} wird mit {1} Masken von {2} geöffnet.</translation>
    </message>
    <message>
        <source>Other programs see the picture as the camera {0}.</source>
        <translation>Andere Programme sehen das Bild als Kamera {0}.</translation>
    </message>
    <message>
        <source>Paint a keyframe on both sides, or track forward from one.</source>
        <translation>Malen Sie auf beiden Seiten einen Keyframe oder verfolgen Sie von einem aus vorwärts.</translation>
    </message>
    <message>
        <source>Paint an object and track it first.</source>
        <translation>Malen Sie ein Objekt an und verfolgen Sie es zuerst.</translation>
    </message>
    <message>
        <source>Paint an object first.</source>
        <translation>Malen Sie zuerst ein Objekt an.</translation>
    </message>
    <message>
        <source>Paint an object on a frame first.</source>
        <translation>Malen Sie zuerst auf einem Bild ein Objekt an.</translation>
    </message>
    <message>
        <source>Paint one on this frame, then track.</source>
        <translation>Malen Sie eines auf diesem Bild an und verfolgen Sie dann.</translation>
    </message>
    <message>
        <source>Paint the object again on a newer frame if it is not found.</source>
        <translation>Malen Sie das Objekt auf einem neueren Bild erneut an, falls es nicht gefunden wird.</translation>
    </message>
    <message>
        <source>Pass a checkpoint that was trained to the end.</source>
        <translation>Geben Sie einen zu Ende trainierten Checkpoint an.</translation>
    </message>
    <message>
        <source>Pass a checkpoint trained for tracking, or use --model resnet50.</source>
        <translation>Geben Sie einen für Verfolgung trainierten Checkpoint an oder verwenden Sie --model resnet50.</translation>
    </message>
    <message>
        <source>Pass them with --weights FILE.</source>
        <translation>Geben Sie sie mit --weights DATEI an.</translation>
    </message>
    <message>
        <source>Pass your checkpoint with --weights FILE.</source>
        <translation>Geben Sie Ihren Checkpoint mit --weights DATEI an.</translation>
    </message>
    <message>
        <source>Pass your trained checkpoint with --weights FILE.</source>
        <translation>Geben Sie Ihren trainierten Checkpoint mit --weights DATEI an.</translation>
    </message>
    <message>
        <source>Put it into the address: http://user:password@host/path.</source>
        <translation>Schreiben Sie es in die Adresse: http://benutzer:passwort@host/pfad.</translation>
    </message>
    <message>
        <source>Put the file at {0} or pass --weights FILE.</source>
        <translation>Legen Sie die Datei unter {0} ab oder verwenden Sie --weights DATEI.</translation>
    </message>
    <message>
        <source>Ray is not installed.</source>
        <translation>Ray ist nicht installiert.</translation>
    </message>
    <message>
        <source>Reading the screen needs the package mss.</source>
        <translation>Um den Bildschirm zu lesen, wird das Paket mss gebraucht.</translation>
    </message>
    <message>
        <source>Record a live source instead.</source>
        <translation>Zeichnen Sie stattdessen eine Live-Quelle auf.</translation>
    </message>
    <message>
        <source>Record it first.</source>
        <translation>Zeichnen Sie es zuerst auf.</translation>
    </message>
    <message>
        <source>Reinstall av.</source>
        <translation>Installieren Sie av neu.</translation>
    </message>
    <message>
        <source>Reinstall the package 'av'.</source>
        <translation>Installieren Sie das Paket „av“ neu.</translation>
    </message>
    <message>
        <source>Remove it or choose another name.</source>
        <translation>Entfernen Sie es oder wählen Sie einen anderen Namen.</translation>
    </message>
    <message>
        <source>Remove it; it is not followed.</source>
        <translation>Entfernen Sie ihn; ihm wird nicht gefolgt.</translation>
    </message>
    <message>
        <source>Replay shows the last seconds of live tracking.</source>
        <translation>Die Rückschau zeigt die letzten Sekunden der Live-Verfolgung.</translation>
    </message>
    <message>
        <source>Resize the mask to the frame.</source>
        <translation>Passen Sie die Maske an die Größe des Bildes an.</translation>
    </message>
    <message>
        <source>Run it again while the computer has less to do.</source>
        <translation>Versuchen Sie es erneut, wenn der Rechner weniger zu tun hat.</translation>
    </message>
    <message>
        <source>Run: pip install mss</source>
        <translation>Führen Sie aus: pip install mss</translation>
    </message>
    <message>
        <source>Run: pip install onnx</source>
        <translation>Führen Sie aus: pip install onnx</translation>
    </message>
    <message>
        <source>Run: pip install onnx onnxruntime</source>
        <translation>Führen Sie aus: pip install onnx onnxruntime</translation>
    </message>
    <message>
        <source>Run: pip install onnxruntime</source>
        <translation>Führen Sie aus: pip install onnxruntime</translation>
    </message>
    <message>
        <source>Run: pip install pyvirtualcam</source>
        <translation>Führen Sie aus: pip install pyvirtualcam</translation>
    </message>
    <message>
        <source>Running an ONNX model needs onnxruntime.</source>
        <translation>Ein ONNX-Modell braucht onnxruntime.</translation>
    </message>
    <message>
        <source>Save it as PNG.</source>
        <translation>Speichern Sie es als PNG.</translation>
    </message>
    <message>
        <source>Save it as an 8-bit PNG.</source>
        <translation>Speichern Sie es als 8-Bit-PNG.</translation>
    </message>
    <message>
        <source>Save it under one.</source>
        <translation>Speichern Sie es unter einem Namen.</translation>
    </message>
    <message>
        <source>Save the project anew, under any name.</source>
        <translation>Speichern Sie das Projekt neu, unter beliebigem Namen.</translation>
    </message>
    <message>
        <source>Save the project elsewhere (Ctrl+S).</source>
        <translation>Speichern Sie das Projekt woanders (Strg+S).</translation>
    </message>
    <message>
        <source>Save under another name to keep what you change.</source>
        <translation>Speichern Sie unter anderem Namen, um Ihre Änderungen zu behalten.</translation>
    </message>
    <message>
        <source>Save under another name.</source>
        <translation>Speichern Sie unter anderem Namen.</translation>
    </message>
    <message>
        <source>Save what comes out of it to a file.</source>
        <translation>Speichern Sie in eine Datei, was herauskommt.</translation>
    </message>
    <message>
        <source>See the log file.</source>
        <translation>Siehe Protokolldatei.</translation>
    </message>
    <message>
        <source>Set LIVEMASK_CACHE to another.</source>
        <translation>Setzen Sie LIVEMASK_CACHE auf einen anderen.</translation>
    </message>
    <message>
        <source>Something unexpected happened to the project.</source>
        <translation>Mit dem Projekt ist etwas Unerwartetes geschehen.</translation>
    </message>
    <message>
        <source>Start it again to go on.</source>
        <translation>Starten Sie erneut, um fortzufahren.</translation>
    </message>
    <message>
        <source>Start it: ray start --head.</source>
        <translation>Starten Sie ihn: ray start --head.</translation>
    </message>
    <message>
        <source>Take two frames of one video.</source>
        <translation>Nehmen Sie zwei Bilder eines Videos.</translation>
    </message>
    <message>
        <source>The Ray cluster {0} cannot be reached.</source>
        <translation>Der Ray-Cluster {0} ist nicht erreichbar.</translation>
    </message>
    <message>
        <source>The address contains a blank or a control character.</source>
        <translation>Die Adresse enthält ein Leer- oder Steuerzeichen.</translation>
    </message>
    <message>
        <source>The backend {0} was measured to be the fastest here; it is used from the next start on.</source>
        <translation>Das Backend {0} war hier in der Messung das schnellste; es wird ab dem nächsten Start verwendet.</translation>
    </message>
    <message>
        <source>The bundled clip, which int8 models are tuned on, cannot be read.</source>
        <translation>Der mitgelieferte Clip, auf den int8-Modelle abgestimmt werden, ist nicht lesbar.</translation>
    </message>
    <message>
        <source>The cache folder {0} cannot be written ({1}).</source>
        <translation>Der Cache-Ordner {0} ist nicht beschreibbar ({1}).</translation>
    </message>
    <message>
        <source>The clips of a list must lie on one drive.</source>
        <translation>Die Clips einer Liste müssen auf einem Laufwerk liegen.</translation>
    </message>
    <message>
        <source>The details are in the log file.</source>
        <translation>Einzelheiten stehen in der Protokolldatei.</translation>
    </message>
    <message>
        <source>The device {0} failed: {1}.</source>
        <translation>Das Gerät {0} ist ausgefallen: {1}.</translation>
    </message>
    <message>
        <source>The device {0} ran out of memory.</source>
        <translation>Dem Gerät {0} ging der Speicher aus.</translation>
    </message>
    <message>
        <source>The download of {0} was stopped.</source>
        <translation>Der Download von {0} wurde angehalten.</translation>
    </message>
    <message>
        <source>The engine cannot be started.</source>
        <translation>Die Engine kann nicht gestartet werden.</translation>
    </message>
    <message>
        <source>The engine cannot use the mask painted on frame {0}: its picture is gone.</source>
        <translation>Die Engine kann die auf Bild {0} gemalte Maske nicht verwenden: Das Bild ist nicht mehr da.</translation>
    </message>
    <message>
        <source>The engine is not ready yet.</source>
        <translation>Die Engine ist noch nicht bereit.</translation>
    </message>
    <message>
        <source>The engine is not running.</source>
        <translation>Die Engine läuft nicht.</translation>
    </message>
    <message>
        <source>The engine's memory of keyframes is full: frame {0} took the place of frame {1}.</source>
        <translation>Das Keyframe-Gedächtnis der Engine ist voll: Bild {0} hat Bild {1} verdrängt.</translation>
    </message>
    <message>
        <source>The exported model did not run as expected.</source>
        <translation>Das exportierte Modell lief nicht wie erwartet.</translation>
    </message>
    <message>
        <source>The folder {0} already holds a recording.</source>
        <translation>Der Ordner {0} enthält bereits eine Aufzeichnung.</translation>
    </message>
    <message>
        <source>The folder {0} cannot be read: {1}.</source>
        <translation>Der Ordner {0} ist nicht lesbar: {1}.</translation>
    </message>
    <message>
        <source>The folder {0} does not exist.</source>
        <translation>Den Ordner {0} gibt es nicht.</translation>
    </message>
    <message>
        <source>The folder {0} is not empty.</source>
        <translation>Der Ordner {0} ist nicht leer.</translation>
    </message>
    <message>
        <source>The frames are of different sizes: {0}.</source>
        <translation>Die Bilder haben verschiedene Größen: {0}.</translation>
    </message>
    <message>
        <source>The image {0} cannot be read: it is too large.</source>
        <translation>Das Bild {0} ist nicht lesbar: Es ist zu groß.</translation>
    </message>
    <message>
        <source>The image {0} cannot be read: {1}.</source>
        <translation>Das Bild {0} ist nicht lesbar: {1}.</translation>
    </message>
    <message>
        <source>The image {0} is {1} x {2} but the first one is {3} x {4}.</source>
        <translation>Das Bild {0} ist {1} x {2}, das erste aber {3} x {4}.</translation>
    </message>
    <message>
        <source>The image {0} is {1}.</source>
        <translation>Das Bild {0} ist {1}.</translation>
    </message>
    <message>
        <source>The int8 backend is for the CPU.</source>
        <translation>Das int8-Backend ist für die CPU.</translation>
    </message>
    <message>
        <source>The int8 form of {0} differs too much from the network (cosine {1}).</source>
        <translation>Die int8-Form von {0} weicht zu stark vom Netz ab (Kosinus {1}).</translation>
    </message>
    <message>
        <source>The list {0} cannot be read as text.</source>
        <translation>Die Liste {0} ist nicht als Text lesbar.</translation>
    </message>
    <message>
        <source>The mask does not fit its frame.</source>
        <translation>Die Maske passt nicht zu ihrem Bild.</translation>
    </message>
    <message>
        <source>The mask holds no object.</source>
        <translation>Die Maske enthält kein Objekt.</translation>
    </message>
    <message>
        <source>The mask is {0} x {1} but the frame is {2} x {3}.</source>
        <translation>Die Maske ist {0} x {1}, das Bild aber {2} x {3}.</translation>
    </message>
    <message>
        <source>The mask of frame {0} is {1} x {2} but the frame is {3} x {4}.</source>
        <translation>Die Maske von Bild {0} ist {1} x {2}, das Bild aber {3} x {4}.</translation>
    </message>
    <message>
        <source>The mask {0} cannot be read as an image.</source>
        <translation>Die Maske {0} ist nicht als Bild lesbar.</translation>
    </message>
    <message>
        <source>The mask {0} cannot be read: {1}.</source>
        <translation>Die Maske {0} ist nicht lesbar: {1}.</translation>
    </message>
    <message>
        <source>The mask {0} has more than {1} colours: it looks like a photograph, not a mask.</source>
        <translation>Die Maske {0} hat mehr als {1} Farben: Sie sieht wie ein Foto aus, nicht wie eine Maske.</translation>
    </message>
    <message>
        <source>The mask {0} holds values beyond 0 to {1}.</source>
        <translation>Die Maske {0} enthält Werte außerhalb von 0 bis {1}.</translation>
    </message>
    <message>
        <source>The mask {0} is empty (0 bytes).</source>
        <translation>Die Maske {0} ist leer (0 Bytes).</translation>
    </message>
    <message>
        <source>The masks could not be written to {0}: {1}.</source>
        <translation>Die Masken konnten nicht nach {0} geschrieben werden: {1}.</translation>
    </message>
    <message>
        <source>The masks in {0} were made with other settings ({1}: {2}).</source>
        <translation>Die Masken in {0} entstanden mit anderen Einstellungen ({1}: {2}).</translation>
    </message>
    <message>
        <source>The masks of the project take {0} bytes; the limit is {1}.</source>
        <translation>Die Masken des Projekts brauchen {0} Bytes; die Grenze ist {1}.</translation>
    </message>
    <message>
        <source>The model file {0} does not exist.</source>
        <translation>Die Modelldatei {0} gibt es nicht.</translation>
    </message>
    <message>
        <source>The model {0} does not fit into the memory of {1}.</source>
        <translation>Das Modell {0} passt nicht in den Speicher von {1}.</translation>
    </message>
    <message>
        <source>The model {0} has no weights that could be downloaded.</source>
        <translation>Das Modell {0} hat keine Gewichte zum Herunterladen.</translation>
    </message>
    <message>
        <source>The model {0} has no weights.</source>
        <translation>Das Modell {0} hat keine Gewichte.</translation>
    </message>
    <message>
        <source>The model {0} is not fit for tracking.</source>
        <translation>Das Modell {0} ist nicht zur Verfolgung geeignet.</translation>
    </message>
    <message>
        <source>The model {0} ships without weights.</source>
        <translation>Das Modell {0} wird ohne Gewichte geliefert.</translation>
    </message>
    <message>
        <source>The name of the file contains a NUL character.</source>
        <translation>Der Name der Datei enthält ein NUL-Zeichen.</translation>
    </message>
    <message>
        <source>The objects of the mask {0} vanish when it is resized.</source>
        <translation>Die Objekte der Maske {0} verschwinden beim Anpassen der Größe.</translation>
    </message>
    <message>
        <source>The pictures in {0} are damaged.</source>
        <translation>Die Bilder in {0} sind beschädigt.</translation>
    </message>
    <message>
        <source>The pictures in {0} cannot be read: {1}.</source>
        <translation>Die Bilder in {0} sind nicht lesbar: {1}.</translation>
    </message>
    <message>
        <source>The project has no name yet.</source>
        <translation>Das Projekt hat noch keinen Namen.</translation>
    </message>
    <message>
        <source>The project holds tables that LiveMask did not make.</source>
        <translation>Das Projekt enthält Tabellen, die nicht von LiveMask stammen.</translation>
    </message>
    <message>
        <source>The project is damaged.</source>
        <translation>Das Projekt ist beschädigt.</translation>
    </message>
    <message>
        <source>The project is damaged: it states no format.</source>
        <translation>Das Projekt ist beschädigt: Es nennt kein Format.</translation>
    </message>
    <message>
        <source>The project is damaged: {0}.</source>
        <translation>Das Projekt ist beschädigt: {0}.</translation>
    </message>
    <message>
        <source>The project was saved by a newer LiveMask (format {0}, this one reads up to {1}).</source>
        <translation>Das Projekt wurde von einem neueren LiveMask gespeichert (Format {0}, dieses liest bis {1}).</translation>
    </message>
    <message>
        <source>The project was tracked by another engine: this one learns its keyframes anew.</source>
        <translation>Das Projekt wurde mit einer anderen Engine verfolgt: Diese lernt seine Keyframes neu.</translation>
    </message>
    <message>
        <source>The project's frames are {0} x {1}; the limit is {2} pixels a side and {3} million in all.</source>
        <translation>Die Bilder des Projekts sind {0} x {1}; die Grenze ist {2} Pixel pro Seite und {3} Millionen insgesamt.</translation>
    </message>
    <message>
        <source>The range {0} to {1} holds no frame.</source>
        <translation>Der Bereich {0} bis {1} enthält kein Bild.</translation>
    </message>
    <message>
        <source>The screen cannot be read ({0}).</source>
        <translation>Der Bildschirm kann nicht gelesen werden ({0}).</translation>
    </message>
    <message>
        <source>The video in {0} uses a codec that is not supported.</source>
        <translation>Das Video in {0} verwendet einen nicht unterstützten Codec.</translation>
    </message>
    <message>
        <source>The virtual camera takes no pictures any more.</source>
        <translation>Die virtuelle Kamera nimmt keine Bilder mehr an.</translation>
    </message>
    <message>
        <source>The weights do not fit the network {0}.</source>
        <translation>Die Gewichte passen nicht zum Netz {0}.</translation>
    </message>
    <message>
        <source>The weights file {0} cannot be opened.</source>
        <translation>Die Gewichtsdatei {0} lässt sich nicht öffnen.</translation>
    </message>
    <message>
        <source>The weights file {0} cannot be read ({1}).</source>
        <translation>Die Gewichtsdatei {0} ist nicht lesbar ({1}).</translation>
    </message>
    <message>
        <source>The weights file {0} cannot be read.</source>
        <translation>Die Gewichtsdatei {0} ist nicht lesbar.</translation>
    </message>
    <message>
        <source>The weights file {0} is damaged or cut short.</source>
        <translation>Die Gewichtsdatei {0} ist beschädigt oder abgeschnitten.</translation>
    </message>
    <message>
        <source>The weights file {0} is empty.</source>
        <translation>Die Gewichtsdatei {0} ist leer.</translation>
    </message>
    <message>
        <source>The weights file {0} is {1} GiB; the limit is {2} GiB.</source>
        <translation>Die Gewichtsdatei {0} hat {1} GiB; die Grenze ist {2} GiB.</translation>
    </message>
    <message>
        <source>The weights of {0} are missing.</source>
        <translation>Die Gewichte von {0} fehlen.</translation>
    </message>
    <message>
        <source>The weights {0} are missing.</source>
        <translation>Die Gewichte {0} fehlen.</translation>
    </message>
    <message>
        <source>The weights {0} cannot be read ({1}).</source>
        <translation>Die Gewichte {0} sind nicht lesbar ({1}).</translation>
    </message>
    <message>
        <source>The weights {0} cannot be read.</source>
        <translation>Die Gewichte {0} sind nicht lesbar.</translation>
    </message>
    <message>
        <source>The work is saved again.</source>
        <translation>Die Arbeit wird wieder gespeichert.</translation>
    </message>
    <message>
        <source>The {0} thread stopped because of an unexpected error.</source>
        <translation>Der Thread {0} endete durch einen unerwarteten Fehler.</translation>
    </message>
    <message>
        <source>There are no clips in {0}.</source>
        <translation>In {0} sind keine Clips.</translation>
    </message>
    <message>
        <source>There are no frames in this range.</source>
        <translation>In diesem Bereich sind keine Bilder.</translation>
    </message>
    <message>
        <source>There are no images in the folder {0}.</source>
        <translation>Im Ordner {0} sind keine Bilder.</translation>
    </message>
    <message>
        <source>There are no masks in {0}.</source>
        <translation>In {0} sind keine Masken.</translation>
    </message>
    <message>
        <source>There are no masks to export yet.</source>
        <translation>Es gibt noch keine Masken zum Exportieren.</translation>
    </message>
    <message>
        <source>There are: {0}.</source>
        <translation>Es gibt: {0}.</translation>
    </message>
    <message>
        <source>There is a file {0} already.</source>
        <translation>Eine Datei {0} gibt es bereits.</translation>
    </message>
    <message>
        <source>There is no backend called {0}.</source>
        <translation>Es gibt kein Backend namens {0}.</translation>
    </message>
    <message>
        <source>There is no camera named {0}.</source>
        <translation>Es gibt keine Kamera namens {0}.</translation>
    </message>
    <message>
        <source>There is no camera {0}.</source>
        <translation>Es gibt keine Kamera {0}.</translation>
    </message>
    <message>
        <source>There is no cuda:{0}; CUDA devices: {1}.</source>
        <translation>Es gibt kein cuda:{0}; CUDA-Geräte: {1}.</translation>
    </message>
    <message>
        <source>There is no device called {0}.</source>
        <translation>Es gibt kein Gerät namens {0}.</translation>
    </message>
    <message>
        <source>There is no encoder for MP4 video in this installation.</source>
        <translation>In dieser Installation gibt es keinen Encoder für MP4-Video.</translation>
    </message>
    <message>
        <source>There is no file {0}.</source>
        <translation>Es gibt keine Datei {0}.</translation>
    </message>
    <message>
        <source>There is no folder {0}.</source>
        <translation>Es gibt keinen Ordner {0}.</translation>
    </message>
    <message>
        <source>There is no format {0}.</source>
        <translation>Es gibt kein Format {0}.</translation>
    </message>
    <message>
        <source>There is no mask for {0}.</source>
        <translation>Es gibt keine Maske für {0}.</translation>
    </message>
    <message>
        <source>There is no model called {0}.</source>
        <translation>Es gibt kein Modell namens {0}.</translation>
    </message>
    <message>
        <source>There is no object in the mask {0}: it is all background.</source>
        <translation>In der Maske {0} ist kein Objekt: Alles ist Hintergrund.</translation>
    </message>
    <message>
        <source>There is no object {0}.</source>
        <translation>Es gibt kein Objekt {0}.</translation>
    </message>
    <message>
        <source>There is no recipe named {0}.</source>
        <translation>Es gibt kein Rezept namens {0}.</translation>
    </message>
    <message>
        <source>There is no screen {0}.</source>
        <translation>Es gibt keinen Bildschirm {0}.</translation>
    </message>
    <message>
        <source>There is no {0}:{1}.</source>
        <translation>Es gibt kein {0}:{1}.</translation>
    </message>
    <message>
        <source>There is not enough memory for this model.</source>
        <translation>Für dieses Modell reicht der Speicher nicht.</translation>
    </message>
    <message>
        <source>There is nothing to replay yet.</source>
        <translation>Es gibt noch nichts für die Rückschau.</translation>
    </message>
    <message>
        <source>There is nothing to save yet.</source>
        <translation>Es gibt noch nichts zu speichern.</translation>
    </message>
    <message>
        <source>There is nothing to track again here.</source>
        <translation>Hier gibt es nichts neu zu verfolgen.</translation>
    </message>
    <message>
        <source>There is nothing to track yet.</source>
        <translation>Es gibt noch nichts zu verfolgen.</translation>
    </message>
    <message>
        <source>There is: {0}.</source>
        <translation>Es gibt: {0}.</translation>
    </message>
    <message>
        <source>They are PNG files named by frame index: 00000.png, 00001.png, ...</source>
        <translation>Es sind PNG-Dateien, benannt nach der Bildnummer: 00000.png, 00001.png, ...</translation>
    </message>
    <message>
        <source>This file is no LiveMask project.</source>
        <translation>Diese Datei ist kein LiveMask-Projekt.</translation>
    </message>
    <message>
        <source>This installation cannot encode {0}.</source>
        <translation>Diese Installation kann {0} nicht kodieren.</translation>
    </message>
    <message>
        <source>This processor does not multiply int8 in hardware (VNNI).</source>
        <translation>Dieser Prozessor multipliziert int8 nicht in Hardware (VNNI).</translation>
    </message>
    <message>
        <source>Track on, and ask on a later frame.</source>
        <translation>Verfolgen Sie weiter und fragen Sie bei einem späteren Bild.</translation>
    </message>
    <message>
        <source>Update LiveMask.</source>
        <translation>Aktualisieren Sie LiveMask.</translation>
    </message>
    <message>
        <source>Update its driver or use --device cpu.</source>
        <translation>Aktualisieren Sie den Treiber oder verwenden Sie --device cpu.</translation>
    </message>
    <message>
        <source>Use --backend onnx, or --device cpu.</source>
        <translation>Verwenden Sie --backend onnx oder --device cpu.</translation>
    </message>
    <message>
        <source>Use --backend onnx, or leave it out.</source>
        <translation>Verwenden Sie --backend onnx oder lassen Sie es weg.</translation>
    </message>
    <message>
        <source>Use --backend onnx.</source>
        <translation>Verwenden Sie --backend onnx.</translation>
    </message>
    <message>
        <source>Use --backend torch or onnx.</source>
        <translation>Verwenden Sie --backend torch oder onnx.</translation>
    </message>
    <message>
        <source>Use --device cpu or install a CUDA build.</source>
        <translation>Verwenden Sie --device cpu oder installieren Sie eine CUDA-Fassung.</translation>
    </message>
    <message>
        <source>Use --device cpu.</source>
        <translation>Verwenden Sie --device cpu.</translation>
    </message>
    <message>
        <source>Use --device cuda.</source>
        <translation>Verwenden Sie --device cuda.</translation>
    </message>
    <message>
        <source>Use --device {0}.</source>
        <translation>Verwenden Sie --device {0}.</translation>
    </message>
    <message>
        <source>Use --model {0}.</source>
        <translation>Verwenden Sie --model {0}.</translation>
    </message>
    <message>
        <source>Use a copy of it.</source>
        <translation>Verwenden Sie eine Kopie.</translation>
    </message>
    <message>
        <source>Use a file with tensors only (safetensors, or a plain PyTorch state dict).</source>
        <translation>Verwenden Sie eine Datei nur mit Tensoren (safetensors oder ein reines PyTorch-State-Dict).</translation>
    </message>
    <message>
        <source>Use a mask of the frame's own size.</source>
        <translation>Verwenden Sie eine Maske in der Größe des Bildes.</translation>
    </message>
    <message>
        <source>Use an earlier checkpoint.</source>
        <translation>Verwenden Sie einen früheren Checkpoint.</translation>
    </message>
    <message>
        <source>Use auto, cpu, cuda, cuda:N or mps.</source>
        <translation>Verwenden Sie auto, cpu, cuda, cuda:N oder mps.</translation>
    </message>
    <message>
        <source>Use fewer --workers; memory may be short.</source>
        <translation>Verwenden Sie weniger --workers; der Speicher ist vielleicht knapp.</translation>
    </message>
    <message>
        <source>Use the file that ships with it.</source>
        <translation>Verwenden Sie die mitgelieferte Datei.</translation>
    </message>
    <message>
        <source>Use weights in floating point.</source>
        <translation>Verwenden Sie Gewichte in Gleitkommazahlen.</translation>
    </message>
    <message>
        <source>Wait for it; if that is not so, delete {0}.</source>
        <translation>Warten Sie darauf; falls das nicht stimmt, löschen Sie {0}.</translation>
    </message>
    <message>
        <source>Wait or stop it.</source>
        <translation>Warten Sie oder halten Sie es an.</translation>
    </message>
    <message>
        <source>Write a path per line into it.</source>
        <translation>Schreiben Sie einen Pfad pro Zeile hinein.</translation>
    </message>
    <message>
        <source>Write screen:0, or screen:0:LEFT,TOP,WIDTH,HEIGHT in pixels.</source>
        <translation>Schreiben Sie screen:0 oder screen:0:LINKS,OBEN,BREITE,HÖHE in Pixeln.</translation>
    </message>
    <message>
        <source>You may not read {0}.</source>
        <translation>Sie dürfen {0} nicht lesen.</translation>
    </message>
    <message>
        <source>You may not use camera {0} ({1}).</source>
        <translation>Sie dürfen Kamera {0} nicht verwenden ({1}).</translation>
    </message>
    <message>
        <source>You may not write to {0}.</source>
        <translation>Sie dürfen nicht nach {0} schreiben.</translation>
    </message>
    <message>
        <source>Your masks are kept; the details are in the log file.</source>
        <translation>Ihre Masken bleiben; Einzelheiten stehen in der Protokolldatei.</translation>
    </message>
    <message>
        <source>it was unplugged or taken by another program</source>
        <translation>sie wurde abgezogen oder von einem anderen Programm übernommen</translation>
    </message>
    <message>
        <source>its driver reports {0}</source>
        <translation>ihr Treiber meldet {0}</translation>
    </message>
    <message>
        <source>onnxruntime cannot make an int8 model of {0}.</source>
        <translation>onnxruntime kann aus {0} kein int8-Modell machen.</translation>
    </message>
    <message>
        <source>the other side ended the stream</source>
        <translation>die Gegenseite hat den Stream beendet</translation>
    </message>
    <message>
        <source>the screen cannot be read: {0}</source>
        <translation>der Bildschirm kann nicht gelesen werden: {0}</translation>
    </message>
    <message>
        <source>what it sends cannot be decoded</source>
        <translation>was sie sendet, lässt sich nicht dekodieren</translation>
    </message>
    <message>
        <source>{0} LiveMask tries again by itself.</source>
        <translation>{0} LiveMask versucht es selbst wieder.</translation>
    </message>
    <message>
        <source>{0} asks for a login.</source>
        <translation>{0} verlangt eine Anmeldung.</translation>
    </message>
    <message>
        <source>{0} beside the project is a link.</source>
        <translation>{0} neben dem Projekt ist ein Link.</translation>
    </message>
    <message>
        <source>{0} cannot be downloaded.</source>
        <translation>{0} lässt sich nicht herunterladen.</translation>
    </message>
    <message>
        <source>{0} cannot be opened: {1}.</source>
        <translation>{0} lässt sich nicht öffnen: {1}.</translation>
    </message>
    <message>
        <source>{0} cannot be read ({1}).</source>
        <translation>{0} ist nicht lesbar ({1}).</translation>
    </message>
    <message>
        <source>{0} cannot be read any further than frame {1}: {2}.</source>
        <translation>{0} ist über Bild {1} hinaus nicht lesbar: {2}.</translation>
    </message>
    <message>
        <source>{0} cannot be read as a .flo file.</source>
        <translation>{0} ist nicht als .flo-Datei lesbar.</translation>
    </message>
    <message>
        <source>{0} cannot be read: {1}.</source>
        <translation>{0} ist nicht lesbar: {1}.</translation>
    </message>
    <message>
        <source>{0} cannot be used: {1}.</source>
        <translation>{0} ist nicht verwendbar: {1}.</translation>
    </message>
    <message>
        <source>{0} cannot be written ({1}).</source>
        <translation>{0} ist nicht beschreibbar ({1}).</translation>
    </message>
    <message>
        <source>{0} cannot be {1}.</source>
        <translation>Nicht möglich bei {0}: {1}.</translation>
    </message>
    <message>
        <source>{0} cannot be {1}: it is not there.</source>
        <translation>Nicht möglich bei {0}: {1}. Es ist nicht da.</translation>
    </message>
    <message>
        <source>{0} carries no video that can be decoded.</source>
        <translation>{0} enthält kein Video, das sich dekodieren lässt.</translation>
    </message>
    <message>
        <source>{0} contains no frame that can be decoded.</source>
        <translation>{0} enthält kein Bild, das sich dekodieren lässt.</translation>
    </message>
    <message>
        <source>{0} contains no picture.</source>
        <translation>{0} enthält kein Bild.</translation>
    </message>
    <message>
        <source>{0} could not be downloaded ({1}).</source>
        <translation>{0} konnte nicht heruntergeladen werden ({1}).</translation>
    </message>
    <message>
        <source>{0} could not be written.</source>
        <translation>{0} konnte nicht geschrieben werden.</translation>
    </message>
    <message>
        <source>{0} could not be written: the disk is full.</source>
        <translation>{0} konnte nicht geschrieben werden: Der Datenträger ist voll.</translation>
    </message>
    <message>
        <source>{0} could not be written: {1}.</source>
        <translation>{0} konnte nicht geschrieben werden: {1}.</translation>
    </message>
    <message>
        <source>{0} does not answer.</source>
        <translation>{0} antwortet nicht.</translation>
    </message>
    <message>
        <source>{0} does not exist on that server.</source>
        <translation>{0} gibt es auf diesem Server nicht.</translation>
    </message>
    <message>
        <source>{0} does not fit the network {1} ({2}).</source>
        <translation>{0} passt nicht zum Netz {1} ({2}).</translation>
    </message>
    <message>
        <source>{0} does not name a screen.</source>
        <translation>{0} bezeichnet keinen Bildschirm.</translation>
    </message>
    <message>
        <source>{0} ends at frame {1}.</source>
        <translation>{0} endet bei Bild {1}.</translation>
    </message>
    <message>
        <source>{0} exists already.</source>
        <translation>{0} gibt es bereits.</translation>
    </message>
    <message>
        <source>{0} has no frame {1}.</source>
        <translation>{0} hat kein Bild {1}.</translation>
    </message>
    <message>
        <source>{0} has no option {1}.</source>
        <translation>{0} hat keine Option {1}.</translation>
    </message>
    <message>
        <source>{0} has stopped delivering pictures.</source>
        <translation>{0} liefert keine Bilder mehr.</translation>
    </message>
    <message>
        <source>{0} has too many pixels; the limit is {1} million.</source>
        <translation>{0} hat zu viele Pixel; die Grenze ist {1} Millionen.</translation>
    </message>
    <message>
        <source>{0} has {1} frames, but the project has a mask on frame {2}.</source>
        <translation>{0} hat {1} Bilder, aber das Projekt hat eine Maske auf Bild {2}.</translation>
    </message>
    <message>
        <source>{0} holds more than weights, or is damaged: it was refused, because loading it could run code.</source>
        <translation>{0} enthält mehr als Gewichte oder ist beschädigt: Abgelehnt, denn das Laden könnte Code ausführen.</translation>
    </message>
    <message>
        <source>{0} holds no frames.</source>
        <translation>{0} enthält keine Bilder.</translation>
    </message>
    <message>
        <source>{0} holds no weights.</source>
        <translation>{0} enthält keine Gewichte.</translation>
    </message>
    <message>
        <source>{0} holds something else than plain tensors ({1}).</source>
        <translation>{0} enthält anderes als reine Tensoren ({1}).</translation>
    </message>
    <message>
        <source>{0} holds untrained layers ({1}): their weights are random, so {2} could not track.</source>
        <translation>{0} enthält untrainierte Schichten ({1}): Ihre Gewichte sind zufällig, also könnte {2} nicht verfolgen.</translation>
    </message>
    <message>
        <source>{0} holds values that are not numbers ({1}).</source>
        <translation>{0} enthält Werte, die keine Zahlen sind ({1}).</translation>
    </message>
    <message>
        <source>{0} holds weights of an ImageNet classifier: layer4 and adjust_dim of {1} would stay random and could not track.</source>
        <translation>{0} enthält Gewichte eines ImageNet-Klassifikators: layer4 und adjust_dim von {1} blieben zufällig und könnten nicht verfolgen.</translation>
    </message>
    <message>
        <source>{0} holds {1} as {2}.</source>
        <translation>{0} enthält {1} als {2}.</translation>
    </message>
    <message>
        <source>{0} is a file, not a folder.</source>
        <translation>{0} ist eine Datei, kein Ordner.</translation>
    </message>
    <message>
        <source>{0} is a folder, not a file.</source>
        <translation>{0} ist ein Ordner, keine Datei.</translation>
    </message>
    <message>
        <source>{0} is a number from {1} to {2}, not {3}.</source>
        <translation>{0} ist eine Zahl von {1} bis {2}, nicht {3}.</translation>
    </message>
    <message>
        <source>{0} is a project without pictures of its own.</source>
        <translation>{0} ist ein Projekt ohne eigene Bilder.</translation>
    </message>
    <message>
        <source>{0} is a text file, not a video.</source>
        <translation>{0} ist eine Textdatei, kein Video.</translation>
    </message>
    <message>
        <source>{0} is an export of {1}, not of {2}.</source>
        <translation>{0} ist ein Export von {1}, nicht von {2}.</translation>
    </message>
    <message>
        <source>{0} is an exported model.</source>
        <translation>{0} ist ein exportiertes Modell.</translation>
    </message>
    <message>
        <source>{0} is being exported already.</source>
        <translation>{0} wird bereits exportiert.</translation>
    </message>
    <message>
        <source>{0} is damaged.</source>
        <translation>{0} ist beschädigt.</translation>
    </message>
    <message>
        <source>{0} is empty (0 bytes).</source>
        <translation>{0} ist leer (0 Bytes).</translation>
    </message>
    <message>
        <source>{0} is gone from its folder.</source>
        <translation>{0} ist nicht mehr in seinem Ordner.</translation>
    </message>
    <message>
        <source>{0} is in the way.</source>
        <translation>{0} ist im Weg.</translation>
    </message>
    <message>
        <source>{0} is live already.</source>
        <translation>{0} ist bereits live.</translation>
    </message>
    <message>
        <source>{0} is live: there is nothing to seek in.</source>
        <translation>{0} ist live: Es gibt nichts zum Springen.</translation>
    </message>
    <message>
        <source>{0} is live; its frames cannot be named.</source>
        <translation>{0} ist live; seine Bilder lassen sich nicht benennen.</translation>
    </message>
    <message>
        <source>{0} is no LiveMask project, or is damaged.</source>
        <translation>{0} ist kein LiveMask-Projekt oder beschädigt.</translation>
    </message>
    <message>
        <source>{0} is no file but a pipe or a device.</source>
        <translation>{0} ist keine Datei, sondern eine Pipe oder ein Gerät.</translation>
    </message>
    <message>
        <source>{0} is no file.</source>
        <translation>{0} ist keine Datei.</translation>
    </message>
    <message>
        <source>{0} is no longer connected.</source>
        <translation>{0} ist nicht mehr verbunden.</translation>
    </message>
    <message>
        <source>{0} is no part of the screen, which has {1} x {2} pixels.</source>
        <translation>{0} ist kein Teil des Bildschirms, der {1} x {2} Pixel hat.</translation>
    </message>
    <message>
        <source>{0} is not a file.</source>
        <translation>{0} ist keine Datei.</translation>
    </message>
    <message>
        <source>{0} is not a model onnxruntime can run.</source>
        <translation>{0} ist kein Modell, das onnxruntime ausführen kann.</translation>
    </message>
    <message>
        <source>{0} is not a weights file.</source>
        <translation>{0} ist keine Gewichtsdatei.</translation>
    </message>
    <message>
        <source>{0} is not {1}: its SHA-256 begins {2}, expected {3}.</source>
        <translation>{0} ist nicht {1}: Die SHA-256 beginnt mit {2}, erwartet {3}.</translation>
    </message>
    <message>
        <source>{0} is one of {1}, not {2}.</source>
        <translation>{0} ist eines von {1}, nicht {2}.</translation>
    </message>
    <message>
        <source>{0} is open already.</source>
        <translation>{0} ist bereits geöffnet.</translation>
    </message>
    <message>
        <source>{0} is open for reading only.</source>
        <translation>{0} ist schreibgeschützt geöffnet.</translation>
    </message>
    <message>
        <source>{0} is open for reading only: {1}.</source>
        <translation>{0} ist schreibgeschützt geöffnet: {1}.</translation>
    </message>
    <message>
        <source>{0} is open in another LiveMask.</source>
        <translation>{0} ist in einem anderen LiveMask geöffnet.</translation>
    </message>
    <message>
        <source>{0} is the source itself.</source>
        <translation>{0} ist die Quelle selbst.</translation>
    </message>
    <message>
        <source>{0} is yes or no, not {1}.</source>
        <translation>{0} ist yes oder no, nicht {1}.</translation>
    </message>
    <message>
        <source>{0} is {1} x {2}, but the project's masks are {3} x {4}.</source>
        <translation>{0} ist {1} x {2}, die Masken des Projekts aber {3} x {4}.</translation>
    </message>
    <message>
        <source>{0} is {1} x {2}; the limit is {3} pixels a side and {4} million in all.</source>
        <translation>{0} ist {1} x {2}; die Grenze ist {3} Pixel pro Seite und {4} Millionen insgesamt.</translation>
    </message>
    <message>
        <source>{0} sends no video.</source>
        <translation>{0} sendet kein Video.</translation>
    </message>
    <message>
        <source>{0} sent no picture within {1} seconds.</source>
        <translation>{0} hat in {1} Sekunden kein Bild gesendet.</translation>
    </message>
    <message>
        <source>{0} was lost: {1}.</source>
        <translation>{0} ging verloren: {1}.</translation>
    </message>
    <message>
        <source>{0} was not closed, and what was saved last cannot be read on a read-only disk.</source>
        <translation>{0} wurde nicht geschlossen, und das zuletzt Gespeicherte ist auf einem schreibgeschützten Datenträger nicht lesbar.</translation>
    </message>
    <message>
        <source>{0} was not exported by LiveMask.</source>
        <translation>{0} wurde nicht von LiveMask exportiert.</translation>
    </message>
    <message>
        <source>{0} would unpack to {1} GiB.</source>
        <translation>{0} ergäbe entpackt {1} GiB.</translation>
    </message>
    <message>
        <source>{0}, the video of {1}, {2}.</source>
        <translation>{0}, das Video von {1}, {2}.</translation>
    </message>
</context><context>
    <name>EngineMenu</name>
    <message>
        <source>&amp;Auto</source>
        <translation>&amp;Automatisch</translation>
    </message>
    <message>
        <source>As &amp;fast as it can</source>
        <translation>So &amp;schnell wie möglich</translation>
    </message>
    <message>
        <source>Live tracking chooses the largest working size that holds this rate, while that is automatic</source>
        <translation>Die Live-Verfolgung wählt die größte Arbeitsgröße, die diese Rate hält, solange jene automatisch ist</translation>
    </message>
    <message>
        <source>As the &amp;model suggests</source>
        <translation>Wie vom &amp;Modell empfohlen</translation>
    </message>
    <message>
        <source>Quality</source>
        <translation>Qualität</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>Lizenz</translation>
    </message>
    <message>
        <source>your checkpoint…</source>
        <translation>eigener Checkpoint…</translation>
    </message>
    <message>
        <source>Weights for %1</source>
        <translation>Gewichte für %1</translation>
    </message>
    <message>
        <source>Weights (*.pth *.pt *.tar *.safetensors *.onnx);;All files (*)</source>
        <translation>Gewichte (*.pth *.pt *.tar *.safetensors *.onnx);;Alle Dateien (*)</translation>
    </message>
</context><context>
    <name>ExplainController</name>
    <message>
        <source>No pixel is meant.</source>
        <translation>Kein Pixel ist gemeint.</translation>
    </message>
    <message>
        <source>Point at one on the picture and press the key.</source>
        <translation>Zeigen Sie im Bild auf eines und drücken Sie die Taste.</translation>
    </message>
    <message>
        <source>Nothing is painted yet.</source>
        <translation>Es ist noch nichts gemalt.</translation>
    </message>
    <message>
        <source>Paint an object and track first.</source>
        <translation>Malen Sie zuerst ein Objekt an und verfolgen Sie es.</translation>
    </message>
</context><context>
    <name>ExplainDialog</name>
    <message>
        <source>Why this label?</source>
        <translation>Warum diese Zuordnung?</translation>
    </message>
    <message>
        <source>Bright cells voted for the pixel; the brighter, the more. Click on a picture to go to its frame, point elsewhere and press the key again for another pixel.</source>
        <translation>Helle Zellen haben für das Pixel gestimmt; je heller, desto mehr. Ein Klick auf ein Bild führt zu ihm; zeigen Sie woandershin und drücken Sie die Taste noch einmal für ein anderes Pixel.</translation>
    </message>
    <message>
        <source>Pixel %1 of frame %2: “%3” with %4 %. Its label comes from:</source>
        <translation>Pixel %1 in Bild %2: „%3“ mit %4 %. Die Zuordnung kommt von:</translation>
    </message>
    <message>
        <source>Keyframe</source>
        <translation>Keyframe</translation>
    </message>
    <message>
        <source>Frame</source>
        <translation>Bild</translation>
    </message>
    <message>
        <source>%1 %2: %3 % of the vote</source>
        <translation>%1 %2: %3 % der Stimmen</translation>
    </message>
    <message>
        <source>%1 % of what this frame says is for the object</source>
        <translation>%1 % dessen, was dieses Bild sagt, sprechen für das Objekt</translation>
    </message>
</context><context>
    <name>ExportDialog</name>
    <message>
        <source>Export</source>
        <translation>Exportieren</translation>
    </message>
    <message>
        <source>&amp;Export</source>
        <translation>&amp;Exportieren</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>&amp;Frames</source>
        <translation>&amp;Bilder</translation>
    </message>
    <message>
        <source>&amp;Objects</source>
        <translation>&amp;Objekte</translation>
    </message>
    <message>
        <source>No frame is shown yet.</source>
        <translation>Noch wird kein Bild gezeigt.</translation>
    </message>
    <message>
        <source>Frame %1, %2 x %3 pixels</source>
        <translation>Bild %1, %2 x %3 Pixel</translation>
    </message>
    <message>
        <source>Writing…</source>
        <translation>Wird geschrieben…</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>There are files already:</source>
        <translation>Es gibt bereits Dateien:</translation>
    </message>
    <message>
        <source>There is a file already:</source>
        <translation>Es gibt bereits eine Datei:</translation>
    </message>
    <message>
        <source>Replace files?</source>
        <translation>Dateien ersetzen?</translation>
    </message>
    <message>
        <source>Files of the same names are replaced, all others stay.</source>
        <translation>Gleichnamige Dateien werden ersetzt, alle anderen bleiben.</translation>
    </message>
    <message>
        <source>Replace</source>
        <translation>Ersetzen</translation>
    </message>
    <message>
        <source>Keep them</source>
        <translation>Behalten</translation>
    </message>
    <message>
        <source>&amp;Continue</source>
        <translation>&amp;Fortsetzen</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>Wird angehalten…</translation>
    </message>
</context><context>
    <name>ExportPreview</name>
    <message>
        <source>Beginning of the file with this frame in it</source>
        <translation>Anfang der Datei mit diesem Bild darin</translation>
    </message>
</context><context>
    <name>FillTool</name>
    <message>
        <source>Click an area of one colour; Shift fills a painted outline, the right button erases</source>
        <translation>Auf eine einfarbige Fläche klicken; Umschalt füllt einen gemalten Umriss, die rechte Taste radiert</translation>
    </message>
</context><context>
    <name>FormatList</name>
    <message>
        <source>Format</source>
        <translation>Format</translation>
    </message>
</context><context>
    <name>KeyEditor</name>
    <message>
        <source>Change keys</source>
        <translation>Tasten ändern</translation>
    </message>
    <message>
        <source>Actions and their keys</source>
        <translation>Aktionen und ihre Tasten</translation>
    </message>
    <message>
        <source>Menu</source>
        <translation>Menü</translation>
    </message>
    <message>
        <source>Action</source>
        <translation>Aktion</translation>
    </message>
    <message>
        <source>Keys</source>
        <translation>Tasten</translation>
    </message>
    <message>
        <source>New key of the chosen action</source>
        <translation>Neue Taste der gewählten Aktion</translation>
    </message>
    <message>
        <source>No key</source>
        <translation>Keine Taste</translation>
    </message>
    <message>
        <source>Default</source>
        <translation>Standard</translation>
    </message>
    <message>
        <source>Keys as in another program</source>
        <translation>Tasten wie in einem anderen Programm</translation>
    </message>
    <message>
        <source>Keys as in…</source>
        <translation>Tasten wie in…</translation>
    </message>
    <message>
        <source>Press the &amp;new key</source>
        <translation>&amp;Neue Taste drücken</translation>
    </message>
    <message>
        <source>%1 is claimed by both “%2” and “%3”.</source>
        <translation>%1 wird von „%2“ und „%3“ beansprucht.</translation>
    </message>
</context><context>
    <name>LooksController</name>
    <message>
        <source>The language changes when LiveMask is started the next time.</source>
        <translation>Die Sprache wechselt beim nächsten Start von LiveMask.</translation>
    </message>
</context><context>
    <name>MainWindow</name>
    <message>
        <source> (read only)</source>
        <translation> (schreibgeschützt)</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>Drop to open</source>
        <translation>Zum Öffnen ablegen</translation>
    </message>
</context><context>
    <name>MotionView</name>
    <message>
        <source>Motion</source>
        <translation>Bewegung</translation>
    </message>
    <message>
        <source>Motion from the frame before, hue by direction</source>
        <translation>Bewegung seit dem vorigen Bild, Farbton nach Richtung</translation>
    </message>
    <message>
        <source>Play, track or step to see motion. Where nothing can be told apart it shows none.</source>
        <translation>Spielen Sie ab, verfolgen Sie oder gehen Sie bildweise vor, um Bewegung zu sehen. Wo nichts zu unterscheiden ist, wird keine gezeigt.</translation>
    </message>
    <message>
        <source>Frame %1: moves by %2 pixels on average, certainty %3 %</source>
        <translation>Bild %1: bewegt sich im Mittel um %2 Pixel, Sicherheit %3 %</translation>
    </message>
</context><context>
    <name>NoticeItem</name>
    <message>
        <source>Information</source>
        <translation>Information</translation>
    </message>
    <message>
        <source>Warning</source>
        <translation>Warnung</translation>
    </message>
    <message>
        <source>Error</source>
        <translation>Fehler</translation>
    </message>
    <message>
        <source>Copy this notice</source>
        <translation>Diese Meldung kopieren</translation>
    </message>
    <message>
        <source>Copy the text</source>
        <translation>Text kopieren</translation>
    </message>
    <message>
        <source>Close this notice</source>
        <translation>Diese Meldung schließen</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
</context><context>
    <name>NoticeStack</name>
    <message numerus="yes">
        <source>and %n more</source>
        <translation>
            <numerusform>und noch %n</numerusform>
            <numerusform>und noch %n</numerusform>
        </translation>
    </message>
</context><context>
    <name>ObjectChooser</name>
    <message>
        <source>All objects</source>
        <translation>Alle Objekte</translation>
    </message>
    <message>
        <source>%1 of %2 objects</source>
        <translation>%1 von %2 Objekten</translation>
    </message>
    <message>
        <source>Objects to export: %1</source>
        <translation>Zu exportierende Objekte: %1</translation>
    </message>
</context><context>
    <name>ObjectDock</name>
    <message>
        <source>Objects</source>
        <translation>Objekte</translation>
    </message>
    <message>
        <source>No objects yet.

Paint on the picture: the first stroke makes object 1. N adds another one.</source>
        <translation>Noch keine Objekte.

Malen Sie auf das Bild: Der erste Strich legt Objekt 1 an. N fügt ein weiteres hinzu.</translation>
    </message>
    <message>
        <source>New object</source>
        <translation>Neues Objekt</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
</context><context>
    <name>ObjectList</name>
    <message>
        <source>Show object</source>
        <translation>Objekt einblenden</translation>
    </message>
    <message>
        <source>Hide object</source>
        <translation>Objekt ausblenden</translation>
    </message>
    <message>
        <source>Lock object</source>
        <translation>Objekt sperren</translation>
    </message>
    <message>
        <source>Unlock object</source>
        <translation>Objekt entsperren</translation>
    </message>
    <message>
        <source>Move object</source>
        <translation>Objekt verschieben</translation>
    </message>
    <message>
        <source>Object %1</source>
        <translation>Objekt %1</translation>
    </message>
    <message>
        <source>Add object</source>
        <translation>Objekt hinzufügen</translation>
    </message>
    <message>
        <source>Remove object</source>
        <translation>Objekt entfernen</translation>
    </message>
    <message>
        <source>Rename object</source>
        <translation>Objekt umbenennen</translation>
    </message>
    <message>
        <source>Recolour object</source>
        <translation>Objekt umfärben</translation>
    </message>
</context><context>
    <name>ObjectRow</name>
    <message>
        <source>%1 is %2</source>
        <translation>%1: %2</translation>
    </message>
    <message>
        <source>Click to paint %1</source>
        <translation>Klicken, um %1 zu malen</translation>
    </message>
    <message>
        <source>Name of object %1</source>
        <translation>Name von Objekt %1</translation>
    </message>
    <message>
        <source>Double click to rename</source>
        <translation>Doppelklick zum Umbenennen</translation>
    </message>
    <message>
        <source>Change the colour of %1</source>
        <translation>Farbe von %1 ändern</translation>
    </message>
    <message>
        <source>Hide %1</source>
        <translation>%1 ausblenden</translation>
    </message>
    <message>
        <source>Show %1</source>
        <translation>%1 einblenden</translation>
    </message>
    <message>
        <source>Unlock %1</source>
        <translation>%1 entsperren</translation>
    </message>
    <message>
        <source>Lock %1 against the brush</source>
        <translation>%1 gegen den Pinsel sperren</translation>
    </message>
    <message>
        <source>Delete %1 from every frame</source>
        <translation>%1 aus jedem Bild löschen</translation>
    </message>
    <message>
        <source>Colour of %1</source>
        <translation>Farbe von %1</translation>
    </message>
</context><context>
    <name>ObjectState</name>
    <message>
        <source>sure</source>
        <translation>sicher</translation>
    </message>
    <message>
        <source>unsure</source>
        <translation>unsicher</translation>
    </message>
    <message>
        <source>lost</source>
        <translation>verloren</translation>
    </message>
    <message>
        <source>found again</source>
        <translation>wiedergefunden</translation>
    </message>
</context><context>
    <name>ObjectsController</name>
    <message>
        <source>Merge {name} into</source>
        <translation>{name} vereinen mit</translation>
    </message>
    <message>
        <source>Object</source>
        <translation>Objekt</translation>
    </message>
</context><context>
    <name>OpeningController</name>
    <message>
        <source>Open video</source>
        <translation>Video öffnen</translation>
    </message>
    <message>
        <source>Videos (%1);;All files (*)</source>
        <translation>Videos (%1);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Open a folder of numbered pictures</source>
        <translation>Ordner mit nummerierten Bildern öffnen</translation>
    </message>
    <message>
        <source>Import mask</source>
        <translation>Maske importieren</translation>
    </message>
    <message>
        <source>Masks (*.png);;Pictures (*.png *.bmp *.tif *.tiff *.webp);;All files (*)</source>
        <translation>Masken (*.png);;Bilder (*.png *.bmp *.tif *.tiff *.webp);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Only one source can be open: %1 was taken.</source>
        <translation>Nur eine Quelle kann offen sein: %1 wurde genommen.</translation>
    </message>
    <message numerus="yes">
        <source>Left out: %n.</source>
        <translation>
            <numerusform>Ausgelassen: %n.</numerusform>
            <numerusform>Ausgelassen: %n.</numerusform>
        </translation>
    </message>
    <message>
        <source>Picture or mask?</source>
        <translation>Bild oder Maske?</translation>
    </message>
    <message>
        <source>%1 can be read in two ways.</source>
        <translation>%1 lässt sich auf zwei Arten lesen.</translation>
    </message>
    <message>
        <source>As a mask, every colour becomes an object and black is background.</source>
        <translation>Als Maske wird jede Farbe zu einem Objekt, und Schwarz ist Hintergrund.</translation>
    </message>
    <message>
        <source>Use as &amp;mask</source>
        <translation>Als &amp;Maske verwenden</translation>
    </message>
    <message>
        <source>&amp;Open as picture</source>
        <translation>Als &amp;Bild öffnen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>&amp;Clear this list</source>
        <translation>Liste &amp;leeren</translation>
    </message>
</context><context>
    <name>OutputController</name>
    <message>
        <source>The painted frames are not saved</source>
        <translation>Die gemalten Bilder sind nicht gespeichert</translation>
    </message>
    <message>
        <source>What you painted on {name} is in no project.</source>
        <translation>Was Sie auf {name} gemalt haben, ist in keinem Projekt.</translation>
    </message>
    <message>
        <source>A project keeps the frames you painted and their pictures.</source>
        <translation>Ein Projekt behält die Bilder, die Sie gemalt haben.</translation>
    </message>
    <message>
        <source>&amp;Save project…</source>
        <translation>Projekt &amp;speichern…</translation>
    </message>
    <message>
        <source>&amp;Discard</source>
        <translation>&amp;Verwerfen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>There are no masks to export yet.</source>
        <translation>Es gibt noch keine Masken zum Exportieren.</translation>
    </message>
    <message>
        <source>Paint an object and track it first.</source>
        <translation>Malen Sie ein Objekt an und verfolgen Sie es zuerst.</translation>
    </message>
    <message numerus="yes">
        <source>%n frames exported.</source>
        <translation>
            <numerusform>%n Bild exportiert.</numerusform>
            <numerusform>%n Bilder exportiert.</numerusform>
        </translation>
    </message>
    <message>
        <source>The work is not saved</source>
        <translation>Die Arbeit ist nicht gespeichert</translation>
    </message>
    <message>
        <source>The work on %1 is in no project, and its masks are not exported.</source>
        <translation>Die Arbeit an %1 ist in keinem Projekt, und ihre Masken sind nicht exportiert.</translation>
    </message>
    <message>
        <source>It is lost when it is closed.</source>
        <translation>Beim Schließen geht sie verloren.</translation>
    </message>
    <message>
        <source>&amp;Export…</source>
        <translation>&amp;Exportieren…</translation>
    </message>
    <message>
        <source>Recorded to %1.</source>
        <translation>Aufgezeichnet nach %1.</translation>
    </message>
    <message>
        <source>Record into a folder</source>
        <translation>In einen Ordner aufzeichnen</translation>
    </message>
</context><context>
    <name>PictureView</name>
    <message>
        <source>Preview of one frame</source>
        <translation>Vorschau eines Bildes</translation>
    </message>
</context><context>
    <name>PolygonTool</name>
    <message>
        <source>Click corners around the object, or draw around it with the button held</source>
        <translation>Ecken um das Objekt klicken oder es mit gehaltener Taste umfahren</translation>
    </message>
    <message>
        <source>Enter or the first corner closes the outline, Backspace takes a corner back, Esc gives up</source>
        <translation>Eingabe oder die erste Ecke schließt den Umriss, Rücktaste nimmt eine Ecke zurück, Esc bricht ab</translation>
    </message>
</context><context>
    <name>ProgressStrip</name>
    <message>
        <source>Export progress</source>
        <translation>Fortschritt des Exports</translation>
    </message>
    <message>
        <source>%1 of %2 frames</source>
        <translation>%1 von %2 Bildern</translation>
    </message>
    <message>
        <source>%1 frames</source>
        <translation>%1 Bilder</translation>
    </message>
</context><context>
    <name>ProjectController</name>
    <message>
        <source>Save project</source>
        <translation>Projekt speichern</translation>
    </message>
    <message>
        <source>LiveMask projects (*%1)</source>
        <translation>LiveMask-Projekte (*%1)</translation>
    </message>
    <message>
        <source>Open project</source>
        <translation>Projekt öffnen</translation>
    </message>
    <message>
        <source>LiveMask projects (*%1);;All files (*)</source>
        <translation>LiveMask-Projekte (*%1);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>The video is missing</source>
        <translation>Das Video fehlt</translation>
    </message>
    <message>
        <source>%1 belongs to %2, which is not where it was.</source>
        <translation>%1 gehört zu %2, das nicht mehr an seinem Ort ist.</translation>
    </message>
    <message>
        <source>It was here: %1</source>
        <translation>Es war hier: %1</translation>
    </message>
    <message>
        <source>&amp;Find it…</source>
        <translation>&amp;Suchen…</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>The video has changed</source>
        <translation>Das Video hat sich geändert</translation>
    </message>
    <message>
        <source>%1 was made with another version of %2.</source>
        <translation>%1 entstand mit einer anderen Fassung von %2.</translation>
    </message>
    <message>
        <source>%1 has another content, and masks may not fit its frames.</source>
        <translation>%1 hat einen anderen Inhalt, Masken passen vielleicht nicht zu seinen Bildern.</translation>
    </message>
    <message>
        <source>&amp;Find another…</source>
        <translation>&amp;Anderes suchen…</translation>
    </message>
    <message>
        <source>&amp;Use it</source>
        <translation>&amp;Verwenden</translation>
    </message>
    <message>
        <source>Find %1</source>
        <translation>%1 suchen</translation>
    </message>
    <message>
        <source>Work on %1 was not closed last time; it is kept.</source>
        <translation>Die Arbeit an %1 wurde zuletzt nicht geschlossen; sie ist aufbewahrt.</translation>
    </message>
    <message>
        <source>File, Recover unsaved work.</source>
        <translation>Datei, Ungesicherte Arbeit wiederherstellen.</translation>
    </message>
</context><context>
    <name>RangeChooser</name>
    <message>
        <source>Frames to export</source>
        <translation>Zu exportierende Bilder</translation>
    </message>
    <message>
        <source>All frames</source>
        <translation>Alle Bilder</translation>
    </message>
    <message>
        <source>Between the marks</source>
        <translation>Zwischen den Marken</translation>
    </message>
    <message>
        <source>From – to</source>
        <translation>Von – bis</translation>
    </message>
    <message>
        <source>First frame</source>
        <translation>Erstes Bild</translation>
    </message>
    <message>
        <source>Last frame</source>
        <translation>Letztes Bild</translation>
    </message>
</context><context>
    <name>RecoveryDialog</name>
    <message>
        <source>Recover unsaved work</source>
        <translation>Ungesicherte Arbeit wiederherstellen</translation>
    </message>
    <message>
        <source>LiveMask ended before this work was closed.</source>
        <translation>LiveMask endete, bevor diese Arbeit geschlossen wurde.</translation>
    </message>
    <message>
        <source>Everything up to the last stroke was kept. Choose what to go on with.</source>
        <translation>Alles bis zum letzten Strich ist aufbewahrt. Wählen Sie, womit es weitergeht.</translation>
    </message>
    <message>
        <source>Work that was not closed</source>
        <translation>Nicht geschlossene Arbeit</translation>
    </message>
    <message>
        <source>&amp;Recover</source>
        <translation>&amp;Wiederherstellen</translation>
    </message>
    <message>
        <source>&amp;Delete…</source>
        <translation>&amp;Löschen…</translation>
    </message>
    <message>
        <source>&amp;Not now</source>
        <translation>&amp;Nicht jetzt</translation>
    </message>
    <message>
        <source>%1 painted, %2 tracked</source>
        <translation>%1 gemalt, %2 verfolgt</translation>
    </message>
    <message>
        <source>&amp;Leave it</source>
        <translation>&amp;Belassen</translation>
    </message>
    <message>
        <source>The project stays; it is not offered again</source>
        <translation>Das Projekt bleibt; es wird nicht wieder angeboten</translation>
    </message>
    <message>
        <source>Delete work</source>
        <translation>Arbeit löschen</translation>
    </message>
    <message>
        <source>Delete the work on %1?</source>
        <translation>Die Arbeit an %1 löschen?</translation>
    </message>
    <message>
        <source>This cannot be undone.</source>
        <translation>Das lässt sich nicht rückgängig machen.</translation>
    </message>
    <message>
        <source>&amp;Delete</source>
        <translation>&amp;Löschen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
</context><context>
    <name>ReplayStrip</name>
    <message>
        <source>{seconds} s ago</source>
        <translation>vor {seconds} s</translation>
    </message>
</context><context>
    <name>RetrackController</name>
    <message>
        <source>There is no keyframe after this frame.</source>
        <translation>Nach diesem Bild gibt es keinen Keyframe.</translation>
    </message>
    <message>
        <source>There is no keyframe before this frame.</source>
        <translation>Vor diesem Bild gibt es keinen Keyframe.</translation>
    </message>
    <message>
        <source>F and B track to the end and to the start.</source>
        <translation>F und B verfolgen bis zum Ende und bis zum Anfang.</translation>
    </message>
    <message>
        <source>No range is marked.</source>
        <translation>Kein Bereich ist markiert.</translation>
    </message>
    <message>
        <source>I sets its first frame, O its last.</source>
        <translation>I setzt sein erstes Bild, O sein letztes.</translation>
    </message>
    <message>
        <source>The frames around this correction do not know of it yet.</source>
        <translation>Die Bilder um diese Korrektur wissen noch nichts von ihr.</translation>
    </message>
    <message>
        <source>{key} tracks them anew, from the keyframes on both sides.</source>
        <translation>{key} verfolgt sie neu, von den Keyframes auf beiden Seiten aus.</translation>
    </message>
    <message>
        <source>Track &gt; Re-track between keyframes does it, from both sides.</source>
        <translation>Verfolgen &gt; Zwischen Keyframes neu verfolgen erledigt das, von beiden Seiten.</translation>
    </message>
</context><context>
    <name>ScreenDialog</name>
    <message>
        <source>Open screen region</source>
        <translation>Bildschirmbereich öffnen</translation>
    </message>
    <message>
        <source>Screen</source>
        <translation>Bildschirm</translation>
    </message>
    <message>
        <source>Screen %1</source>
        <translation>Bildschirm %1</translation>
    </message>
    <message>
        <source>Picture of the screen</source>
        <translation>Bild des Bildschirms</translation>
    </message>
    <message>
        <source>The whole screen. Drag a rectangle to track in a part of it.</source>
        <translation>Der ganze Bildschirm. Ziehen Sie ein Rechteck auf, um in einem Teil zu verfolgen.</translation>
    </message>
    <message>
        <source>%1 x %2 pixels</source>
        <translation>%1 x %2 Pixel</translation>
    </message>
</context><context>
    <name>ScribbleController</name>
    <message>
        <source>The engine is still starting: the scribble goes by colour alone.</source>
        <translation>Die Engine startet noch: Die Auswahl richtet sich allein nach der Farbe.</translation>
    </message>
    <message>
        <source>It is made anew as soon as the engine is there.</source>
        <translation>Sie wird neu berechnet, sobald die Engine bereit ist.</translation>
    </message>
</context><context>
    <name>ScribbleTool</name>
    <message>
        <source>Stroke inside the object; the right button marks outside, Shift+drag draws a box around it</source>
        <translation>Im Objekt streichen; die rechte Taste markiert außen, Umschalt+Ziehen zieht einen Rahmen darum</translation>
    </message>
    <message>
        <source>Enter keeps this mask, Esc drops it, Backspace takes the last stroke back</source>
        <translation>Eingabe behält diese Maske, Esc verwirft sie, Rücktaste nimmt den letzten Strich zurück</translation>
    </message>
    <message>
        <source>Scribble</source>
        <translation>Schnellauswahl</translation>
    </message>
</context><context>
    <name>ShortcutSheet</name>
    <message>
        <source>Select object 1 to 10</source>
        <translation>Objekt 1 bis 10 auswählen</translation>
    </message>
    <message>
        <source>Tools</source>
        <translation>Werkzeuge</translation>
    </message>
    <message>
        <source> or </source>
        <translation> oder </translation>
    </message>
    <message>
        <source>Mouse</source>
        <translation>Maus</translation>
    </message>
    <message>
        <source>Keys and mouse</source>
        <translation>Tasten und Maus</translation>
    </message>
    <message>
        <source>&amp;Find</source>
        <translation>&amp;Suchen</translation>
    </message>
    <message>
        <source>Find a key or an action</source>
        <translation>Taste oder Aktion suchen</translation>
    </message>
    <message>
        <source>Nothing found.</source>
        <translation>Nichts gefunden.</translation>
    </message>
</context><context>
    <name>StatesController</name>
    <message>
        <source>No doubtful frame after this one.</source>
        <translation>Kein zweifelhaftes Bild nach diesem.</translation>
    </message>
    <message>
        <source>No doubtful frame before.</source>
        <translation>Kein zweifelhaftes Bild davor.</translation>
    </message>
</context><context>
    <name>StatusBar</name>
    <message>
        <source>Engine is starting</source>
        <translation>Die Engine startet</translation>
    </message>
    <message>
        <source>Engine</source>
        <translation>Engine</translation>
    </message>
    <message>
        <source>Source rate</source>
        <translation>Rate der Quelle</translation>
    </message>
    <message>
        <source>Frames per second that the camera or file delivers, over the last 2 seconds.</source>
        <translation>Bilder pro Sekunde, die Kamera oder Datei liefert, über die letzten 2 Sekunden.</translation>
    </message>
    <message>
        <source>Tracked rate</source>
        <translation>Verfolgungsrate</translation>
    </message>
    <message>
        <source>Masks per second, every stage counted, over the last 2 seconds.</source>
        <translation>Masken pro Sekunde, alle Stufen eingerechnet, über die letzten 2 Sekunden.</translation>
    </message>
    <message>
        <source>Mask age</source>
        <translation>Maskenalter</translation>
    </message>
    <message>
        <source>Time from the capture of a frame to its finished mask: the middle value and the one that 95 of 100
stay below, over the last 120 masks. A frame is always shown with its own mask.</source>
        <translation>Zeit von der Aufnahme eines Bildes bis zur fertigen Maske: der mittlere Wert und der, unter dem 95 von 100
bleiben, über die letzten 120 Masken. Ein Bild wird immer mit seiner eigenen Maske gezeigt.</translation>
    </message>
    <message>
        <source>Dropped frames</source>
        <translation>Ausgelassene Bilder</translation>
    </message>
    <message>
        <source>Live frames left out because the engine was still busy, since the source was opened.
The newest frame is always taken next, so the picture does not fall behind.</source>
        <translation>Live-Bilder, die ausgelassen wurden, weil die Engine noch beschäftigt war, seit die Quelle offen ist.
Danach wird immer das neueste Bild genommen, damit die Anzeige nicht zurückfällt.</translation>
    </message>
    <message>
        <source>Device</source>
        <translation>Gerät</translation>
    </message>
    <message>
        <source>Where the network runs, in which number format, and what runs it.
Menu Engine, Device and Backend change it.</source>
        <translation>Wo das Netz läuft, in welchem Zahlenformat und was es ausführt.
Menü Engine, Gerät und Backend ändern es.</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>The network that compares pixels. Menu Engine, Model changes it.</source>
        <translation>Das Netz, das Pixel vergleicht. Menü Engine, Modell ändert es.</translation>
    </message>
    <message>
        <source>Working size</source>
        <translation>Arbeitsgröße</translation>
    </message>
    <message>
        <source>The size at which the engine looks at a frame. Smaller is faster, larger is finer.
Masks always come out at the full size. Menu Engine, Working size changes it.</source>
        <translation>Die Größe, in der die Engine ein Bild betrachtet. Kleiner ist schneller, größer ist feiner.
Masken haben immer die volle Größe. Menü Engine, Arbeitsgröße ändert sie.</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>Bytes of the engine's memory bank (fixed, however long you track), and of the whole program.</source>
        <translation>Bytes des Gedächtnisses der Engine (fest, wie lange auch verfolgt wird) und des ganzen Programms.</translation>
    </message>
    <message>
        <source>Source %1 fps</source>
        <translation>Quelle %1 fps</translation>
    </message>
    <message>
        <source>Tracked %1 fps</source>
        <translation>Verfolgt %1 fps</translation>
    </message>
    <message>
        <source>Mask age %1</source>
        <translation>Maskenalter %1</translation>
    </message>
    <message>
        <source>Dropped %1</source>
        <translation>Ausgelassen %1</translation>
    </message>
    <message>
        <source>Memory %1</source>
        <translation>Speicher %1</translation>
    </message>
    <message>
        <source>Stopped working: %1</source>
        <translation>Ausgefallen: %1</translation>
    </message>
    <message>
        <source> · full</source>
        <translation> · voll</translation>
    </message>
    <message>
        <source>Nothing had to be left out to hold %1 fps.</source>
        <translation>Nichts musste wegfallen, um %1 fps zu halten.</translation>
    </message>
    <message>
        <source>Chosen to hold %1 fps, as menu Engine, Live rate asks.</source>
        <translation>Gewählt, um %1 fps zu halten, wie es Menü Engine, Live-Rate verlangt.</translation>
    </message>
    <message>
        <source>Only %1 earlier frames are looked at.</source>
        <translation>Nur %1 frühere Bilder werden betrachtet.</translation>
    </message>
    <message>
        <source> · below %1 fps</source>
        <translation> · unter %1 fps</translation>
    </message>
    <message>
        <source> · for %1 fps</source>
        <translation> · für %1 fps</translation>
    </message>
</context><context>
    <name>StreamDialog</name>
    <message>
        <source>Open stream</source>
        <translation>Stream öffnen</translation>
    </message>
    <message>
        <source>&amp;Address of the stream</source>
        <translation>&amp;Adresse des Streams</translation>
    </message>
    <message>
        <source>Address of the stream</source>
        <translation>Adresse des Streams</translation>
    </message>
    <message>
        <source>RTSP, RTMP, SRT, UDP or HTTP. User and password go before the host: rtsp://user:password@host/…</source>
        <translation>RTSP, RTMP, SRT, UDP oder HTTP. Benutzer und Passwort stehen vor dem Host: rtsp://benutzer:passwort@host/…</translation>
    </message>
</context><context>
    <name>Table</name>
    <message>
        <source>%</source>
        <translation>%</translation>
    </message>
    <message>
        <source>&amp;About LiveMask</source>
        <translation>&amp;Über LiveMask</translation>
    </message>
    <message>
        <source>&amp;Actual size</source>
        <translation>&amp;Originalgröße</translation>
    </message>
    <message>
        <source>&amp;All frames</source>
        <translation>&amp;Alle Bilder</translation>
    </message>
    <message>
        <source>&amp;Auto</source>
        <translation>&amp;Automatisch</translation>
    </message>
    <message>
        <source>&amp;Auto (the fastest here)</source>
        <translation>&amp;Automatisch (das Schnellste hier)</translation>
    </message>
    <message>
        <source>&amp;Backend</source>
        <translation>&amp;Backend</translation>
    </message>
    <message>
        <source>&amp;CPU</source>
        <translation>&amp;CPU</translation>
    </message>
    <message>
        <source>&amp;Clear this frame's mask</source>
        <translation>Maske dieses Bildes &amp;leeren</translation>
    </message>
    <message>
        <source>&amp;Clear tracking…</source>
        <translation>&amp;Verfolgung löschen…</translation>
    </message>
    <message>
        <source>&amp;Cut-out on green</source>
        <translation>&amp;Freisteller auf Grün</translation>
    </message>
    <message>
        <source>&amp;Dark</source>
        <translation>&amp;Dunkel</translation>
    </message>
    <message>
        <source>&amp;Delete object</source>
        <translation>Objekt &amp;löschen</translation>
    </message>
    <message>
        <source>&amp;Deutsch</source>
        <translation>&amp;Deutsch</translation>
    </message>
    <message>
        <source>&amp;Device</source>
        <translation>&amp;Gerät</translation>
    </message>
    <message>
        <source>&amp;Diagnostics…</source>
        <translation>&amp;Diagnose…</translation>
    </message>
    <message>
        <source>&amp;Edit</source>
        <translation>&amp;Bearbeiten</translation>
    </message>
    <message>
        <source>&amp;English</source>
        <translation>&amp;English</translation>
    </message>
    <message>
        <source>&amp;Erase</source>
        <translation>&amp;Radieren</translation>
    </message>
    <message>
        <source>&amp;Export…</source>
        <translation>&amp;Exportieren…</translation>
    </message>
    <message>
        <source>&amp;Fainter</source>
        <translation>&amp;Schwächer</translation>
    </message>
    <message>
        <source>&amp;File</source>
        <translation>&amp;Datei</translation>
    </message>
    <message>
        <source>&amp;Fill</source>
        <translation>&amp;Füllung</translation>
    </message>
    <message>
        <source>&amp;First steps</source>
        <translation>&amp;Erste Schritte</translation>
    </message>
    <message>
        <source>&amp;Fit to window</source>
        <translation>&amp;Einpassen</translation>
    </message>
    <message>
        <source>&amp;Go to</source>
        <translation>&amp;Gehe zu</translation>
    </message>
    <message>
        <source>&amp;Help</source>
        <translation>&amp;Hilfe</translation>
    </message>
    <message>
        <source>&amp;Hide overlay</source>
        <translation>Maske &amp;ausblenden</translation>
    </message>
    <message>
        <source>&amp;Keep as keyframe</source>
        <translation>Als &amp;Keyframe behalten</translation>
    </message>
    <message>
        <source>&amp;Keys and mouse</source>
        <translation>&amp;Tasten und Maus</translation>
    </message>
    <message>
        <source>&amp;Light</source>
        <translation>&amp;Hell</translation>
    </message>
    <message>
        <source>&amp;Live rate</source>
        <translation>&amp;Live-Rate</translation>
    </message>
    <message>
        <source>&amp;Magnify</source>
        <translation>Ver&amp;größern</translation>
    </message>
    <message>
        <source>&amp;Matte</source>
        <translation>&amp;Matte</translation>
    </message>
    <message>
        <source>&amp;Matte</source>
        <translation>&amp;Matte</translation>
        <source>&amp;Merge into…</source>
        <translation>Ver&amp;einen mit…</translation>
    </message>
    <message>
        <source>&amp;Model</source>
        <translation>&amp;Modell</translation>
    </message>
    <message>
        <source>&amp;Motion</source>
        <translation>&amp;Bewegung</translation>
    </message>
    <message>
        <source>&amp;NVIDIA GPU (CUDA)</source>
        <translation>&amp;NVIDIA-GPU (CUDA)</translation>
    </message>
    <message>
        <source>&amp;New object</source>
        <translation>&amp;Neues Objekt</translation>
    </message>
    <message>
        <source>&amp;Next frame</source>
        <translation>&amp;Nächstes Bild</translation>
    </message>
    <message>
        <source>&amp;Next style</source>
        <translation>&amp;Nächster Stil</translation>
    </message>
    <message>
        <source>&amp;Next view</source>
        <translation>&amp;Nächste Ansicht</translation>
    </message>
    <message>
        <source>&amp;ONNX Runtime</source>
        <translation>&amp;ONNX Runtime</translation>
    </message>
    <message>
        <source>&amp;Object</source>
        <translation>&amp;Objekt</translation>
    </message>
    <message>
        <source>&amp;Open video…</source>
        <translation>&amp;Video öffnen…</translation>
    </message>
    <message>
        <source>&amp;Outline</source>
        <translation>&amp;Umriss</translation>
    </message>
    <message>
        <source>&amp;Overlay</source>
        <translation>&amp;Überlagerung</translation>
    </message>
    <message>
        <source>&amp;Overlay as shown</source>
        <translation>&amp;Überlagerung wie angezeigt</translation>
    </message>
    <message>
        <source>&amp;Paint</source>
        <translation>&amp;Malen</translation>
    </message>
    <message>
        <source>&amp;Paste mask</source>
        <translation>Maske ein&amp;fügen</translation>
    </message>
    <message>
        <source>&amp;Pattern</source>
        <translation>&amp;Muster</translation>
    </message>
    <message>
        <source>&amp;Play without tracking</source>
        <translation>&amp;Abspielen ohne Verfolgung</translation>
    </message>
    <message>
        <source>&amp;Previous frame</source>
        <translation>&amp;Voriges Bild</translation>
    </message>
    <message>
        <source>&amp;Previous object</source>
        <translation>&amp;Voriges Objekt</translation>
    </message>
    <message>
        <source>&amp;PyTorch</source>
        <translation>&amp;PyTorch</translation>
    </message>
    <message>
        <source>&amp;Quit</source>
        <translation>&amp;Beenden</translation>
    </message>
    <message>
        <source>&amp;Recipe</source>
        <translation>&amp;Rezept</translation>
    </message>
    <message>
        <source>&amp;Record…</source>
        <translation>Auf&amp;zeichnen…</translation>
    </message>
    <message>
        <source>&amp;Redo</source>
        <translation>&amp;Wiederholen</translation>
    </message>
    <message>
        <source>&amp;Reduce</source>
        <translation>Ver&amp;kleinern</translation>
    </message>
    <message>
        <source>&amp;Smart scribble</source>
        <translation>&amp;Schnellauswahl</translation>
    </message>
    <message>
        <source>&amp;Solo</source>
        <translation>&amp;Solo</translation>
    </message>
    <message>
        <source>&amp;Start</source>
        <translation>&amp;Anfang</translation>
    </message>
    <message>
        <source>&amp;Stop</source>
        <translation>&amp;Anhalten</translation>
    </message>
    <message>
        <source>&amp;Stronger</source>
        <translation>&amp;Stärker</translation>
    </message>
    <message>
        <source>&amp;Theme</source>
        <translation>&amp;Farbschema</translation>
    </message>
    <message>
        <source>&amp;Tool</source>
        <translation>&amp;Werkzeug</translation>
    </message>
    <message>
        <source>&amp;Track</source>
        <translation>&amp;Verfolgen</translation>
    </message>
    <message>
        <source>&amp;Track / pause</source>
        <translation>&amp;Verfolgen / Pause</translation>
    </message>
    <message>
        <source>&amp;Undo</source>
        <translation>&amp;Rückgängig</translation>
    </message>
    <message>
        <source>&amp;View</source>
        <translation>&amp;Ansicht</translation>
    </message>
    <message>
        <source>&amp;Why this label?</source>
        <translation>&amp;Warum diese Zuordnung?</translation>
    </message>
    <message>
        <source>&amp;Working size</source>
        <translation>&amp;Arbeitsgröße</translation>
    </message>
    <message>
        <source>10 frames &amp;back</source>
        <translation>10 Bilder &amp;zurück</translation>
    </message>
    <message>
        <source>10 frames &amp;on</source>
        <translation>10 Bilder &amp;weiter</translation>
    </message>
    <message>
        <source>100 %</source>
        <translation>100 %</translation>
    </message>
    <message>
        <source>25 %</source>
        <translation>25 %</translation>
    </message>
    <message>
        <source>320 px</source>
        <translation>320 px</translation>
    </message>
    <message>
        <source>480 px</source>
        <translation>480 px</translation>
    </message>
    <message>
        <source>50 %</source>
        <translation>50 %</translation>
    </message>
    <message>
        <source>640 px</source>
        <translation>640 px</translation>
    </message>
    <message>
        <source>75 %</source>
        <translation>75 %</translation>
    </message>
    <message>
        <source>A picture and a JSON file per frame, to go on editing in labelme.</source>
        <translation>Ein Bild und eine JSON-Datei pro Frame, um in labelme weiterzuarbeiten.</translation>
    </message>
    <message>
        <source>A short range for a page or a chat; 256 colours, no sound.</source>
        <translation>Ein kurzer Ausschnitt für eine Webseite oder einen Chat; 256 Farben, kein Ton.</translation>
    </message>
    <message>
        <source>Add an object and paint it</source>
        <translation>Ein Objekt hinzufügen und malen</translation>
    </message>
    <message>
        <source>All masks in one array, with frame numbers, times and confidences.</source>
        <translation>Alle Masken in einem Array, mit Bildnummern, Zeiten und Sicherheiten.</translation>
    </message>
    <message>
        <source>Alpha</source>
        <translation>Alpha</translation>
    </message>
    <message>
        <source>Animated GIF</source>
        <translation>Animiertes GIF</translation>
    </message>
    <message>
        <source>Apple &amp;GPU (MPS)</source>
        <translation>Apple-&amp;GPU (MPS)</translation>
    </message>
    <message>
        <source>As DAVIS 2017, but all objects are one: black and white masks.</source>
        <translation>Wie DAVIS 2017, aber alle Objekte sind eines: schwarz-weiße Masken.</translation>
    </message>
    <message>
        <source>As the &amp;system</source>
        <translation>Wie das &amp;System</translation>
    </message>
    <message>
        <source>As the video</source>
        <translation>Wie das Video</translation>
    </message>
    <message>
        <source>B&amp;lurred background</source>
        <translation>&amp;Unscharfer Hintergrund</translation>
    </message>
    <message>
        <source>Background</source>
        <translation>Hintergrund</translation>
    </message>
    <message>
        <source>Black</source>
        <translation>Schwarz</translation>
    </message>
    <message>
        <source>Blurred scene</source>
        <translation>Unscharfe Szene</translation>
    </message>
    <message>
        <source>Bo&amp;x</source>
        <translation>Rec&amp;hteck</translation>
    </message>
    <message>
        <source>Brush &amp;larger</source>
        <translation>Pinsel &amp;größer</translation>
    </message>
    <message>
        <source>Brush s&amp;maller</source>
        <translation>Pinsel &amp;kleiner</translation>
    </message>
    <message>
        <source>Brush size, or tolerance of the fill</source>
        <translation>Pinselgröße oder Toleranz beim Füllen</translation>
    </message>
    <message>
        <source>COCO (JSON)</source>
        <translation>COCO (JSON)</translation>
    </message>
    <message>
        <source>CVAT (XML)</source>
        <translation>CVAT (XML)</translation>
    </message>
    <message>
        <source>Carry the masks on to the end</source>
        <translation>Die Masken bis zum Ende weitertragen</translation>
    </message>
    <message>
        <source>Carry the masks to the start</source>
        <translation>Die Masken bis zum Anfang tragen</translation>
    </message>
    <message>
        <source>Chan&amp;ge keys…</source>
        <translation>Tasten ä&amp;ndern…</translation>
    </message>
    <message>
        <source>Change the order of the objects</source>
        <translation>Die Reihenfolge der Objekte ändern</translation>
    </message>
    <message>
        <source>Clear &amp;marks</source>
        <translation>&amp;Marken löschen</translation>
    </message>
    <message>
        <source>Click around the object or draw around it; Enter closes the outline, Esc gives up</source>
        <translation>Um das Objekt klicken oder es umfahren; Eingabe schließt den Umriss, Esc bricht ab</translation>
    </message>
    <message>
        <source>Close &amp;video</source>
        <translation>Video s&amp;chließen</translation>
    </message>
    <message>
        <source>Close LiveMask</source>
        <translation>LiveMask schließen</translation>
    </message>
    <message>
        <source>Close what is open</source>
        <translation>Schließen, was geöffnet ist</translation>
    </message>
    <message>
        <source>Copy the &amp;mask before</source>
        <translation>&amp;Vorige Maske kopieren</translation>
    </message>
    <message>
        <source>Ctrl + wheel</source>
        <translation>Strg + Mausrad</translation>
    </message>
    <message>
        <source>Ctrl + wheel on the time line</source>
        <translation>Strg + Mausrad auf der Zeitleiste</translation>
    </message>
    <message>
        <source>Cut-out on &amp;black</source>
        <translation>Freigestellt auf &amp;Schwarz</translation>
    </message>
    <message>
        <source>Cut-out on &amp;checks</source>
        <translation>Freigestellt auf &amp;Karos</translation>
    </message>
    <message>
        <source>Cut-out on &amp;green</source>
        <translation>Freigestellt auf &amp;Grün</translation>
    </message>
    <message>
        <source>Cut-out on &amp;white</source>
        <translation>Freigestellt auf &amp;Weiß</translation>
    </message>
    <message>
        <source>Cut-outs with transparency</source>
        <translation>Freisteller mit Transparenz</translation>
    </message>
    <message>
        <source>DAVIS 2016 folders</source>
        <translation>DAVIS-2016-Ordner</translation>
    </message>
    <message>
        <source>DAVIS 2017 folders</source>
        <translation>DAVIS-2017-Ordner</translation>
    </message>
    <message>
        <source>DAVIS-2017 val J&amp;F 67.3 with such features (Alxead/SFC; not measured here)</source>
        <translation>DAVIS-2017 val J&amp;F 67,3 mit solchen Merkmalen (Alxead/SFC; hier nicht gemessen)</translation>
    </message>
    <message>
        <source>DAVIS-2017 val J&amp;F 72.3 (the paper; not measured here)</source>
        <translation>DAVIS-2017 val J&amp;F 72,3 (laut Veröffentlichung; hier nicht gemessen)</translation>
    </message>
    <message>
        <source>Dark window</source>
        <translation>Dunkles Fenster</translation>
    </message>
    <message>
        <source>Data and labelling</source>
        <translation>Daten und Annotation</translation>
    </message>
    <message>
        <source>Do the edit again that was taken back</source>
        <translation>Den zurückgenommenen Schritt wieder ausführen</translation>
    </message>
    <message>
        <source>Drag a rectangle of the selected object</source>
        <translation>Ein Rechteck des gewählten Objekts aufziehen</translation>
    </message>
    <message>
        <source>Drag in the object list</source>
        <translation>In der Objektliste ziehen</translation>
    </message>
    <message>
        <source>Drag on the time line</source>
        <translation>Auf der Zeitleiste ziehen</translation>
    </message>
    <message>
        <source>Draw the outlines of the objects only</source>
        <translation>Nur die Umrisse der Objekte zeichnen</translation>
    </message>
    <message>
        <source>Drop on the window</source>
        <translation>Auf dem Fenster ablegen</translation>
    </message>
    <message>
        <source>Drop the tracked masks; keyframes stay</source>
        <translation>Die verfolgten Masken verwerfen; Keyframes bleiben</translation>
    </message>
    <message>
        <source>E&amp;ngine</source>
        <translation>E&amp;ngine</translation>
    </message>
    <message>
        <source>En&amp;d</source>
        <translation>&amp;Ende</translation>
    </message>
    <message>
        <source>English from the next start on</source>
        <translation>Englisch ab dem nächsten Start</translation>
    </message>
    <message>
        <source>Enter, Esc, Backspace</source>
        <translation>Eingabe, Esc, Rücktaste</translation>
    </message>
    <message>
        <source>Erase; with Shift every object</source>
        <translation>Radieren; mit Umschalt jedes Objekt</translation>
    </message>
    <message>
        <source>Every frame an image with video id, every object a mask (RLE) with track id.</source>
        <translation>Jedes Bild mit Video-ID, jedes Objekt eine Maske (RLE) mit Track-ID.</translation>
    </message>
    <message>
        <source>Every key and mouse button on one sheet</source>
        <translation>Alle Tasten und Mausknöpfe auf einem Blatt</translation>
    </message>
    <message>
        <source>F&amp;ill</source>
        <translation>F&amp;üllen</translation>
    </message>
    <message>
        <source>F&amp;ull screen</source>
        <translation>V&amp;ollbild</translation>
    </message>
    <message>
        <source>Fill the area of one colour under the pointer; with Shift the whole outline</source>
        <translation>Die einfarbige Fläche unter dem Zeiger füllen; mit Umschalt den ganzen Umriss</translation>
    </message>
    <message>
        <source>Fill, outline, pattern in turn</source>
        <translation>Reihum Füllung, Umriss, Muster</translation>
    </message>
    <message>
        <source>Follow the system's language</source>
        <translation>Der Sprache des Systems folgen</translation>
    </message>
    <message>
        <source>Follow the system's theme</source>
        <translation>Dem Farbschema des Systems folgen</translation>
    </message>
    <message>
        <source>Forget the mask of this frame</source>
        <translation>Die Maske dieses Bildes vergessen</translation>
    </message>
    <message>
        <source>Frames as pictures, too</source>
        <translation>Auch die Bilder selbst</translation>
    </message>
    <message>
        <source>Free&amp;ze live picture</source>
        <translation>Live-Bild ein&amp;frieren</translation>
    </message>
    <message>
        <source>German from the next start on</source>
        <translation>Deutsch ab dem nächsten Start</translation>
    </message>
    <message>
        <source>Give the actions keys of your own</source>
        <translation>Den Aktionen eigene Tasten geben</translation>
    </message>
    <message>
        <source>Go on with saved work</source>
        <translation>Mit gespeicherter Arbeit weitermachen</translation>
    </message>
    <message>
        <source>Go on with work that was not closed last time</source>
        <translation>Mit Arbeit weitermachen, die zuletzt nicht geschlossen wurde</translation>
    </message>
    <message>
        <source>Go to a frame</source>
        <translation>Zu einem Bild gehen</translation>
    </message>
    <message>
        <source>Green screen</source>
        <translation>Grüner Hintergrund</translation>
    </message>
    <message>
        <source>Hatch every object differently, to tell them apart without colours</source>
        <translation>Jedes Objekt anders schraffieren, damit sie sich auch ohne Farben unterscheiden</translation>
    </message>
    <message>
        <source>High</source>
        <translation>Hoch</translation>
    </message>
    <message>
        <source>Hold the live picture to paint on it</source>
        <translation>Das Live-Bild anhalten, um darauf zu malen</translation>
    </message>
    <message>
        <source>I&amp;mport mask…</source>
        <translation>Maske &amp;importieren…</translation>
    </message>
    <message>
        <source>Instant replay</source>
        <translation>Sofortige Rückschau</translation>
    </message>
    <message>
        <source>J 75.0, F 66.9 on five DAVIS-2016 val sequences at 480 (measured here)</source>
        <translation>J 75,0, F 66,9 auf fünf Sequenzen aus DAVIS-2016 val bei 480 (hier gemessen)</translation>
    </message>
    <message>
        <source>J 87.5, F 89.2 on five DAVIS-2016 val sequences at 480 (measured here)</source>
        <translation>J 87,5, F 89,2 auf fünf Sequenzen aus DAVIS-2016 val bei 480 (hier gemessen)</translation>
    </message>
    <message>
        <source>JPEGImages, Annotations (palette PNGs) and meta.json with the objects.</source>
        <translation>JPEGImages, Annotations (Paletten-PNGs) und meta.json mit den Objekten.</translation>
    </message>
    <message>
        <source>JPEGImages, Annotations (palette PNGs, several objects) and ImageSets.</source>
        <translation>JPEGImages, Annotations (Paletten-PNGs, mehrere Objekte) und ImageSets.</translation>
    </message>
    <message>
        <source>Keep the sound</source>
        <translation>Ton behalten</translation>
    </message>
    <message>
        <source>Keep the work under another name</source>
        <translation>Die Arbeit unter anderem Namen behalten</translation>
    </message>
    <message>
        <source>Keep the work, to go on later exactly here</source>
        <translation>Die Arbeit behalten, um später genau hier weiterzumachen</translation>
    </message>
    <message>
        <source>Lan&amp;guage</source>
        <translation>S&amp;prache</translation>
    </message>
    <message>
        <source>Left button</source>
        <translation>Linke Taste</translation>
    </message>
    <message>
        <source>Left, right, Shift + drag</source>
        <translation>Links, rechts, Umschalt + Ziehen</translation>
    </message>
    <message>
        <source>Let other programs see the objects before green as a camera</source>
        <translation>Andere Programme die Objekte vor Grün als Kamera sehen lassen</translation>
    </message>
    <message>
        <source>Let other programs see the picture with its overlay as a camera</source>
        <translation>Andere Programme das Bild mit seiner Überlagerung als Kamera sehen lassen</translation>
    </message>
    <message>
        <source>Let the pressure of a pen make the brush larger and smaller</source>
        <translation>Den Stiftdruck den Pinsel größer und kleiner machen lassen</translation>
    </message>
    <message>
        <source>Light window</source>
        <translation>Helles Fenster</translation>
    </message>
    <message>
        <source>Live &amp;view</source>
        <translation>Live-Ans&amp;icht</translation>
    </message>
    <message>
        <source>Magnify it; the wheel alone and the middle button move it</source>
        <translation>Vergrößern; das Mausrad allein und die mittlere Taste verschieben sie</translation>
    </message>
    <message>
        <source>Magnify the picture</source>
        <translation>Das Bild vergrößern</translation>
    </message>
    <message>
        <source>Make a sound when a live object becomes unsure or is lost</source>
        <translation>Einen Ton geben, wenn ein Live-Objekt unsicher wird oder verloren geht</translation>
    </message>
    <message>
        <source>Make the brush larger</source>
        <translation>Den Pinsel vergrößern</translation>
    </message>
    <message>
        <source>Make the brush smaller</source>
        <translation>Den Pinsel verkleinern</translation>
    </message>
    <message>
        <source>Make the mask fainter</source>
        <translation>Die Maske schwächer zeigen</translation>
    </message>
    <message>
        <source>Make the mask of this frame a keyframe</source>
        <translation>Die Maske dieses Bildes zum Keyframe machen</translation>
    </message>
    <message>
        <source>Make the mask stronger</source>
        <translation>Die Maske stärker zeigen</translation>
    </message>
    <message>
        <source>Make the picture smaller</source>
        <translation>Das Bild verkleinern</translation>
    </message>
    <message>
        <source>Make the selected object a part of another one</source>
        <translation>Das gewählte Objekt zu einem Teil eines anderen machen</translation>
    </message>
    <message>
        <source>Masks</source>
        <translation>Masken</translation>
    </message>
    <message>
        <source>Matte video (MP4)</source>
        <translation>Matte-Video (MP4)</translation>
    </message>
    <message>
        <source>Medium</source>
        <translation>Mittel</translation>
    </message>
    <message>
        <source>Middle click</source>
        <translation>Mittelklick</translation>
    </message>
    <message>
        <source>Middle drag, Space + drag</source>
        <translation>Mittlere Taste oder Leertaste + Ziehen</translation>
    </message>
    <message>
        <source>Move &amp;up</source>
        <translation>Nach &amp;oben</translation>
    </message>
    <message>
        <source>Move do&amp;wn</source>
        <translation>Nach &amp;unten</translation>
    </message>
    <message>
        <source>Move the picture</source>
        <translation>Das Bild verschieben</translation>
    </message>
    <message>
        <source>Move the selected object down in the list</source>
        <translation>Das gewählte Objekt in der Liste nach unten rücken</translation>
    </message>
    <message>
        <source>Move the selected object up in the list</source>
        <translation>Das gewählte Objekt in der Liste nach oben rücken</translation>
    </message>
    <message>
        <source>Name in the data set</source>
        <translation>Name im Datensatz</translation>
    </message>
    <message>
        <source>Ne&amp;xt object</source>
        <translation>Nä&amp;chstes Objekt</translation>
    </message>
    <message>
        <source>Ne&amp;xt unsure frame</source>
        <translation>Nä&amp;chstes unsicheres Bild</translation>
    </message>
    <message>
        <source>New background (MP4)</source>
        <translation>Neuer Hintergrund (MP4)</translation>
    </message>
    <message>
        <source>Next k&amp;eyframe</source>
        <translation>Nächster K&amp;eyframe</translation>
    </message>
    <message>
        <source>NumPy (NPZ)</source>
        <translation>NumPy (NPZ)</translation>
    </message>
    <message>
        <source>ONNX Runtime, &amp;int8</source>
        <translation>ONNX Runtime, &amp;int8</translation>
    </message>
    <message>
        <source>Object &amp;list</source>
        <translation>Objekt&amp;liste</translation>
    </message>
    <message>
        <source>Objects on transparency</source>
        <translation>Objekte auf Transparenz</translation>
    </message>
    <message>
        <source>Once a correction is painted, track the frames up to the keyframes beside it anew</source>
        <translation>Nach einer gemalten Korrektur die Bilder bis zu den benachbarten Keyframes neu verfolgen</translation>
    </message>
    <message>
        <source>One PNG per frame that has a mask, named 00000.png; pixel values are object ids.</source>
        <translation>Ein PNG pro Bild mit Maske, benannt 00000.png; Pixelwerte sind Objektnummern.</translation>
    </message>
    <message>
        <source>One PNG per frame with the objects on transparency; lossless, large.</source>
        <translation>Ein PNG pro Bild mit den Objekten auf Transparenz; verlustfrei, groß.</translation>
    </message>
    <message>
        <source>One annotation per object with a mask (RLE) for every frame.</source>
        <translation>Eine Annotation pro Objekt mit einer Maske (RLE) für jedes Bild.</translation>
    </message>
    <message>
        <source>One frame back</source>
        <translation>Ein Bild zurück</translation>
    </message>
    <message>
        <source>One frame on</source>
        <translation>Ein Bild weiter</translation>
    </message>
    <message>
        <source>One line per frame and object: time, box, centroid, area, confidence.</source>
        <translation>Eine Zeile pro Bild und Objekt: Zeit, Rahmen, Schwerpunkt, Fläche, Sicherheit.</translation>
    </message>
    <message>
        <source>One picture pixel per screen pixel</source>
        <translation>Ein Bildpixel pro Bildschirmpixel</translation>
    </message>
    <message>
        <source>Opacity</source>
        <translation>Deckkraft</translation>
    </message>
    <message>
        <source>Open &amp;camera</source>
        <translation>&amp;Kamera öffnen</translation>
    </message>
    <message>
        <source>Open &amp;folder…</source>
        <translation>&amp;Ordner öffnen…</translation>
    </message>
    <message>
        <source>Open &amp;project…</source>
        <translation>&amp;Projekt öffnen…</translation>
    </message>
    <message>
        <source>Open &amp;recent</source>
        <translation>&amp;Zuletzt geöffnet</translation>
    </message>
    <message>
        <source>Open &amp;stream URL…</source>
        <translation>&amp;Stream-Adresse öffnen…</translation>
    </message>
    <message>
        <source>Open a folder of numbered pictures</source>
        <translation>Ordner mit nummerierten Bildern öffnen</translation>
    </message>
    <message>
        <source>Open a video file</source>
        <translation>Eine Videodatei öffnen</translation>
    </message>
    <message>
        <source>Open an RTSP or HTTP stream</source>
        <translation>Einen RTSP- oder HTTP-Stream öffnen</translation>
    </message>
    <message>
        <source>Open it; a PNG mask is used as mask</source>
        <translation>Öffnen; eine PNG-Maske wird als Maske verwendet</translation>
    </message>
    <message>
        <source>Open scree&amp;n region…</source>
        <translation>Bildschir&amp;mbereich öffnen …</translation>
    </message>
    <message>
        <source>Open the bundled clip with its mask and track it</source>
        <translation>Den mitgelieferten Clip mit seiner Maske öffnen und verfolgen</translation>
    </message>
    <message>
        <source>Outline</source>
        <translation>Umriss</translation>
    </message>
    <message>
        <source>Overlay</source>
        <translation>Überlagerung</translation>
    </message>
    <message>
        <source>Overlay &amp;style</source>
        <translation>&amp;Stil der Maske</translation>
    </message>
    <message>
        <source>Overlay o&amp;pacity</source>
        <translation>&amp;Deckkraft der Maske</translation>
    </message>
    <message>
        <source>Overlay video (MP4)</source>
        <translation>Video mit Überlagerung (MP4)</translation>
    </message>
    <message>
        <source>PNG sequence (RGBA)</source>
        <translation>PNG-Folge (RGBA)</translation>
    </message>
    <message>
        <source>Pad odd sizes to even</source>
        <translation>Ungerade Größen auf gerade auffüllen</translation>
    </message>
    <message>
        <source>Paint object 1 from now on</source>
        <translation>Ab jetzt Objekt 1 malen</translation>
    </message>
    <message>
        <source>Paint object 10 from now on</source>
        <translation>Ab jetzt Objekt 10 malen</translation>
    </message>
    <message>
        <source>Paint object 2 from now on</source>
        <translation>Ab jetzt Objekt 2 malen</translation>
    </message>
    <message>
        <source>Paint object 3 from now on</source>
        <translation>Ab jetzt Objekt 3 malen</translation>
    </message>
    <message>
        <source>Paint object 4 from now on</source>
        <translation>Ab jetzt Objekt 4 malen</translation>
    </message>
    <message>
        <source>Paint object 5 from now on</source>
        <translation>Ab jetzt Objekt 5 malen</translation>
    </message>
    <message>
        <source>Paint object 6 from now on</source>
        <translation>Ab jetzt Objekt 6 malen</translation>
    </message>
    <message>
        <source>Paint object 7 from now on</source>
        <translation>Ab jetzt Objekt 7 malen</translation>
    </message>
    <message>
        <source>Paint object 8 from now on</source>
        <translation>Ab jetzt Objekt 8 malen</translation>
    </message>
    <message>
        <source>Paint object 9 from now on</source>
        <translation>Ab jetzt Objekt 9 malen</translation>
    </message>
    <message>
        <source>Paint the next object of the list</source>
        <translation>Das nächste Objekt der Liste malen</translation>
    </message>
    <message>
        <source>Paint the object before in the list</source>
        <translation>Das vorige Objekt der Liste malen</translation>
    </message>
    <message>
        <source>Paint the selected object with the brush; the right button erases</source>
        <translation>Das gewählte Objekt mit dem Pinsel malen; die rechte Taste radiert</translation>
    </message>
    <message>
        <source>Paint with the chosen tool</source>
        <translation>Mit dem gewählten Werkzeug malen</translation>
    </message>
    <message>
        <source>Palette PNGs</source>
        <translation>Paletten-PNGs</translation>
    </message>
    <message>
        <source>Part of the data set</source>
        <translation>Teil des Datensatzes</translation>
    </message>
    <message>
        <source>Pen p&amp;ressure sizes the brush</source>
        <translation>Stift&amp;druck ändert die Pinselgröße</translation>
    </message>
    <message>
        <source>Poly&amp;gon and lasso</source>
        <translation>&amp;Polygon und Lasso</translation>
    </message>
    <message>
        <source>Polygon tracks</source>
        <translation>Polygon-Tracks</translation>
    </message>
    <message>
        <source>Polygon, lasso, smart scribble: finish, give up, one step back</source>
        <translation>Polygon, Lasso, Schnellauswahl: beenden, abbrechen, einen Schritt zurück</translation>
    </message>
    <message>
        <source>Polygons</source>
        <translation>Polygone</translation>
    </message>
    <message>
        <source>Premultiplied with black</source>
        <translation>Mit Schwarz vormultipliziert</translation>
    </message>
    <message>
        <source>Previous &amp;keyframe</source>
        <translation>Voriger &amp;Keyframe</translation>
    </message>
    <message>
        <source>Previous &amp;unsure frame</source>
        <translation>Voriges &amp;unsicheres Bild</translation>
    </message>
    <message>
        <source>ProRes 4444 (MOV)</source>
        <translation>ProRes 4444 (MOV)</translation>
    </message>
    <message>
        <source>Quality</source>
        <translation>Qualität</translation>
    </message>
    <message>
        <source>Re-trac&amp;k after corrections</source>
        <translation>Nach &amp;Korrekturen neu verfolgen</translation>
    </message>
    <message>
        <source>Re-track between keyframes</source>
        <translation>Zwischen Keyframes neu verfolgen</translation>
    </message>
    <message>
        <source>Recover unsaved &amp;work…</source>
        <translation>Ungesicherte &amp;Arbeit wiederherstellen…</translation>
    </message>
    <message>
        <source>Remove the selected object from every frame</source>
        <translation>Das gewählte Objekt aus jedem Bild entfernen</translation>
    </message>
    <message>
        <source>Repeat for ever</source>
        <translation>Endlos wiederholen</translation>
    </message>
    <message>
        <source>Right button, Ctrl + left</source>
        <translation>Rechte Taste, Strg + links</translation>
    </message>
    <message>
        <source>S&amp;ave project</source>
        <translation>Projekt &amp;speichern</translation>
    </message>
    <message>
        <source>Save projec&amp;t as…</source>
        <translation>Projekt speichern &amp;unter…</translation>
    </message>
    <message>
        <source>See the last seconds of a live picture again, and correct them</source>
        <translation>Die letzten Sekunden eines Live-Bildes noch einmal ansehen und korrigieren</translation>
    </message>
    <message>
        <source>See the objects alone, on black</source>
        <translation>Nur die Objekte sehen, auf Schwarz</translation>
    </message>
    <message>
        <source>See the objects alone, on checks as for transparency</source>
        <translation>Nur die Objekte sehen, auf Karos wie für Transparenz</translation>
    </message>
    <message>
        <source>See the objects alone, on the green of a studio</source>
        <translation>Nur die Objekte sehen, auf Studiogrün</translation>
    </message>
    <message>
        <source>See the objects alone, on white</source>
        <translation>Nur die Objekte sehen, auf Weiß</translation>
    </message>
    <message>
        <source>See the objects sharp in the blurred picture</source>
        <translation>Die Objekte scharf im unscharfen Bild sehen</translation>
    </message>
    <message>
        <source>See the objects white on black</source>
        <translation>Die Objekte weiß auf schwarz sehen</translation>
    </message>
    <message>
        <source>See the picture with the mask over it</source>
        <translation>Das Bild mit der Maske darüber sehen</translation>
    </message>
    <message>
        <source>See the picture without its mask</source>
        <translation>Das Bild ohne seine Maske sehen</translation>
    </message>
    <message>
        <source>Select an object</source>
        <translation>Ein Objekt auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;1</source>
        <translation>Objekt &amp;1 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;2</source>
        <translation>Objekt &amp;2 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;3</source>
        <translation>Objekt &amp;3 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;4</source>
        <translation>Objekt &amp;4 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;5</source>
        <translation>Objekt &amp;5 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;6</source>
        <translation>Objekt &amp;6 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;7</source>
        <translation>Objekt &amp;7 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;8</source>
        <translation>Objekt &amp;8 auswählen</translation>
    </message>
    <message>
        <source>Select object &amp;9</source>
        <translation>Objekt &amp;9 auswählen</translation>
    </message>
    <message>
        <source>Select object 1&amp;0</source>
        <translation>Objekt 1&amp;0 auswählen</translation>
    </message>
    <message>
        <source>Set &amp;in mark</source>
        <translation>&amp;Anfangsmarke setzen</translation>
    </message>
    <message>
        <source>Set &amp;out mark</source>
        <translation>&amp;Endmarke setzen</translation>
    </message>
    <message>
        <source>Shapes</source>
        <translation>Formen</translation>
    </message>
    <message>
        <source>Shift + middle click</source>
        <translation>Umschalt + Mittelklick</translation>
    </message>
    <message>
        <source>Show every frame on the time line</source>
        <translation>Jedes Bild auf der Zeitleiste zeigen</translation>
    </message>
    <message>
        <source>Show fewer frames on the time line</source>
        <translation>Weniger Bilder auf der Zeitleiste zeigen</translation>
    </message>
    <message>
        <source>Show how things move, as the engine sees it</source>
        <translation>Zeigen, wie sich Dinge bewegen, so wie die Engine es sieht</translation>
    </message>
    <message>
        <source>Show more frames on the time line</source>
        <translation>Mehr Bilder auf der Zeitleiste zeigen</translation>
    </message>
    <message>
        <source>Show or hide an object</source>
        <translation>Ein Objekt ein- oder ausblenden</translation>
    </message>
    <message>
        <source>Show or hide the object list</source>
        <translation>Die Objektliste ein- oder ausblenden</translation>
    </message>
    <message>
        <source>Show small pictures of the frames below the time line</source>
        <translation>Kleine Vorschaubilder unter der Zeitleiste zeigen</translation>
    </message>
    <message>
        <source>Show the mask at 100 % opacity</source>
        <translation>Die Maske mit 100 % Deckkraft zeigen</translation>
    </message>
    <message>
        <source>Show the mask at 25 % opacity</source>
        <translation>Die Maske mit 25 % Deckkraft zeigen</translation>
    </message>
    <message>
        <source>Show the mask at 50 % opacity</source>
        <translation>Die Maske mit 50 % Deckkraft zeigen</translation>
    </message>
    <message>
        <source>Show the mask at 75 % opacity</source>
        <translation>Die Maske mit 75 % Deckkraft zeigen</translation>
    </message>
    <message>
        <source>Show the selected object alone; once more shows the others again</source>
        <translation>Das gewählte Objekt allein zeigen; noch einmal zeigt die anderen wieder</translation>
    </message>
    <message>
        <source>Show the three first steps again</source>
        <translation>Die drei ersten Schritte noch einmal zeigen</translation>
    </message>
    <message>
        <source>Show the whole picture</source>
        <translation>Das ganze Bild zeigen</translation>
    </message>
    <message>
        <source>Show which earlier frames decided the pixel under the pointer</source>
        <translation>Zeigen, welche früheren Bilder über das Pixel unter dem Zeiger entschieden haben</translation>
    </message>
    <message>
        <source>Shows</source>
        <translation>Zeigt</translation>
    </message>
    <message>
        <source>Small &amp;pictures</source>
        <translation>&amp;Vorschaubilder</translation>
    </message>
    <message>
        <source>Small file</source>
        <translation>Kleine Datei</translation>
    </message>
    <message>
        <source>Smart scribble: inside, outside, a box around the object</source>
        <translation>Schnellauswahl: innen, außen, ein Rahmen um das Objekt</translation>
    </message>
    <message>
        <source>Soft edge</source>
        <translation>Weicher Rand</translation>
    </message>
    <message>
        <source>Sound when an object is unsure or &amp;lost</source>
        <translation>Ton, wenn ein Objekt unsicher oder ver&amp;loren ist</translation>
    </message>
    <message>
        <source>Stop playing or tracking</source>
        <translation>Wiedergabe oder Verfolgung anhalten</translation>
    </message>
    <message>
        <source>Straight</source>
        <translation>Gerade</translation>
    </message>
    <message>
        <source>Stroke inside the object (left) and outside (right), or drag a box with Shift; Enter keeps the mask</source>
        <translation>Im Objekt (links) und außerhalb (rechts) streichen oder mit Umschalt einen Rahmen ziehen; Eingabe behält die Maske</translation>
    </message>
    <message>
        <source>Table (CSV)</source>
        <translation>Tabelle (CSV)</translation>
    </message>
    <message>
        <source>Take paint away with the brush</source>
        <translation>Farbe mit dem Pinsel wegnehmen</translation>
    </message>
    <message>
        <source>Take the last edit back</source>
        <translation>Den letzten Schritt zurücknehmen</translation>
    </message>
    <message>
        <source>Ten frames back</source>
        <translation>Zehn Bilder zurück</translation>
    </message>
    <message>
        <source>Ten frames on</source>
        <translation>Zehn Bilder weiter</translation>
    </message>
    <message>
        <source>The first frame</source>
        <translation>Das erste Bild</translation>
    </message>
    <message>
        <source>The keyframe after</source>
        <translation>Der Keyframe danach</translation>
    </message>
    <message>
        <source>The keyframe before</source>
        <translation>Der Keyframe davor</translation>
    </message>
    <message>
        <source>The last frame</source>
        <translation>Das letzte Bild</translation>
    </message>
    <message>
        <source>The objects before plain green, black or white, or the blurred scene.</source>
        <translation>Die Objekte vor Grün, Schwarz, Weiß oder der unscharfen Szene.</translation>
    </message>
    <message>
        <source>The overlay, the matte and the cut-outs in turn</source>
        <translation>Reihum Überlagerung, Matte und Freistellungen</translation>
    </message>
    <message>
        <source>The video with the masks drawn over it, H.264, plays everywhere.</source>
        <translation>Das Video mit den Masken darüber, H.264, läuft überall.</translation>
    </message>
    <message>
        <source>Time li&amp;ne</source>
        <translation>Zeit&amp;leiste</translation>
    </message>
    <message>
        <source>Tint the objects in their colours</source>
        <translation>Objekte in ihren Farben tönen</translation>
    </message>
    <message>
        <source>To import into a CVAT task of the same video (Upload annotations).</source>
        <translation>Zum Import in eine CVAT-Aufgabe desselben Videos (Upload annotations).</translation>
    </message>
    <message>
        <source>Track &amp;backward</source>
        <translation>&amp;Rückwärts verfolgen</translation>
    </message>
    <message>
        <source>Track &amp;forward</source>
        <translation>&amp;Vorwärts verfolgen</translation>
    </message>
    <message>
        <source>Track back to previous ke&amp;yframe</source>
        <translation>Zurück bis zum vorigen Ke&amp;yframe verfolgen</translation>
    </message>
    <message>
        <source>Track backward no further than here</source>
        <translation>Rückwärts nicht weiter als bis hier verfolgen</translation>
    </message>
    <message>
        <source>Track backward to the keyframe before</source>
        <translation>Rückwärts bis zum vorigen Keyframe verfolgen</translation>
    </message>
    <message>
        <source>Track forward no further than here</source>
        <translation>Vorwärts nicht weiter als bis hier verfolgen</translation>
    </message>
    <message>
        <source>Track forward to the next keyframe</source>
        <translation>Vorwärts bis zum nächsten Keyframe verfolgen</translation>
    </message>
    <message>
        <source>Track from the in mark to the out mark</source>
        <translation>Von der Anfangsmarke bis zur Endmarke verfolgen</translation>
    </message>
    <message>
        <source>Track in a part of the screen</source>
        <translation>In einem Teil des Bildschirms verfolgen</translation>
    </message>
    <message>
        <source>Track one frame b&amp;ack</source>
        <translation>Ein Bild rück&amp;wärts verfolgen</translation>
    </message>
    <message>
        <source>Track one frame back</source>
        <translation>Ein Bild zurück verfolgen</translation>
    </message>
    <message>
        <source>Track one frame for&amp;ward</source>
        <translation>Ein Bild v&amp;orwärts verfolgen</translation>
    </message>
    <message>
        <source>Track one frame on</source>
        <translation>Ein Bild weiter verfolgen</translation>
    </message>
    <message>
        <source>Track the frames around this one anew from the keyframes on both sides, and blend the two</source>
        <translation>Die Bilder um dieses von den Keyframes auf beiden Seiten aus neu verfolgen und beides überblenden</translation>
    </message>
    <message>
        <source>Track the mark&amp;ed range</source>
        <translation>&amp;Markierten Bereich verfolgen</translation>
    </message>
    <message>
        <source>Track to &amp;next keyframe</source>
        <translation>Bis zum &amp;nächsten Keyframe verfolgen</translation>
    </message>
    <message>
        <source>Track to the ends again</source>
        <translation>Wieder bis zu den Enden verfolgen</translation>
    </message>
    <message>
        <source>Track what is painted, or pause; plays when nothing is painted yet</source>
        <translation>Verfolgen, was gemalt ist, oder anhalten; spielt ab, solange nichts gemalt ist</translation>
    </message>
    <message>
        <source>Transparent video for web pages and OBS.</source>
        <translation>Transparentes Video für Webseiten und OBS.</translation>
    </message>
    <message>
        <source>Try the &amp;demo</source>
        <translation>&amp;Demo ausprobieren</translation>
    </message>
    <message>
        <source>Use a PNG as the mask of this frame</source>
        <translation>Ein PNG als Maske dieses Bildes verwenden</translation>
    </message>
    <message>
        <source>Use the nearest earlier frame's mask on this frame too</source>
        <translation>Die Maske des nächsten früheren Bildes auch hier verwenden</translation>
    </message>
    <message>
        <source>Use the picture on the clipboard as the mask of this frame</source>
        <translation>Das Bild in der Zwischenablage als Maske dieses Bildes verwenden</translation>
    </message>
    <message>
        <source>Use the whole screen</source>
        <translation>Den ganzen Bildschirm nutzen</translation>
    </message>
    <message>
        <source>V&amp;irtual camera</source>
        <translation>V&amp;irtuelle Kamera</translation>
    </message>
    <message>
        <source>Version and licences</source>
        <translation>Version und Lizenzen</translation>
    </message>
    <message>
        <source>Videos</source>
        <translation>Videos</translation>
    </message>
    <message>
        <source>Watch the video with its masks</source>
        <translation>Das Video mit seinen Masken ansehen</translation>
    </message>
    <message>
        <source>WebM with alpha (VP9)</source>
        <translation>WebM mit Alpha (VP9)</translation>
    </message>
    <message>
        <source>What this machine offers, to copy into a report</source>
        <translation>Was dieser Rechner bietet, zum Kopieren in einen Bericht</translation>
    </message>
    <message>
        <source>Wheel</source>
        <translation>Mausrad</translation>
    </message>
    <message>
        <source>Where an object next becomes unsure or is lost</source>
        <translation>Wo ein Objekt als Nächstes unsicher wird oder verloren geht</translation>
    </message>
    <message>
        <source>Where an object was unsure or lost before</source>
        <translation>Wo ein Objekt zuvor unsicher oder verloren war</translation>
    </message>
    <message>
        <source>White</source>
        <translation>Weiß</translation>
    </message>
    <message>
        <source>White objects on black, to use as a track matte; H.264.</source>
        <translation>Weiße Objekte auf Schwarz, als Matte verwendbar; H.264.</translation>
    </message>
    <message>
        <source>White on black</source>
        <translation>Weiß auf Schwarz</translation>
    </message>
    <message>
        <source>Width</source>
        <translation>Breite</translation>
    </message>
    <message>
        <source>With alpha, for Resolve, Premiere, Final Cut and After Effects; large.</source>
        <translation>Mit Alpha, für Resolve, Premiere, Final Cut und After Effects; groß.</translation>
    </message>
    <message>
        <source>Write every tracked live frame, its mask and both as videos to a folder</source>
        <translation>Jedes verfolgte Live-Bild, seine Maske und beides als Videos in einen Ordner schreiben</translation>
    </message>
    <message>
        <source>Write videos, cut-outs or data of the masks</source>
        <translation>Videos, Freisteller oder Daten der Masken schreiben</translation>
    </message>
    <message>
        <source>YouTube-VIS (JSON)</source>
        <translation>YouTube-VIS (JSON)</translation>
    </message>
    <message>
        <source>YouTube-VOS folders</source>
        <translation>YouTube-VOS-Ordner</translation>
    </message>
    <message>
        <source>Zoom &amp;in</source>
        <translation>&amp;Vergrößern</translation>
    </message>
    <message>
        <source>Zoom &amp;out</source>
        <translation>Ver&amp;kleinern</translation>
    </message>
    <message>
        <source>Zoom at the pointer</source>
        <translation>Am Zeiger zoomen</translation>
    </message>
    <message>
        <source>a rim in the full colour</source>
        <translation>ein Rand in voller Farbe</translation>
    </message>
    <message>
        <source>against the size of the file</source>
        <translation>gegen die Größe der Datei</translation>
    </message>
    <message>
        <source>blurs the edge of the mask</source>
        <translation>zeichnet den Rand der Maske weich</translation>
    </message>
    <message>
        <source>bundled</source>
        <translation>mitgeliefert</translation>
    </message>
    <message>
        <source>copied, where the file can hold its kind</source>
        <translation>kopiert, wo die Datei diese Art enthalten kann</translation>
    </message>
    <message>
        <source>download, 98 MiB</source>
        <translation>Download, 98 MiB</translation>
    </message>
    <message>
        <source>folder name of this video; left empty: that of the file</source>
        <translation>Ordnername dieses Videos; leer: der Name der Datei</translation>
    </message>
    <message>
        <source>folder that this video goes into</source>
        <translation>Ordner, in den dieses Video kommt</translation>
    </message>
    <message>
        <source>full-width ImageNet ResNet-50, stage 3; slower, better features, never fine-tuned</source>
        <translation>ImageNet-ResNet-50 in voller Breite, Stufe 3; langsamer, bessere Merkmale, nicht nachtrainiert</translation>
    </message>
    <message>
        <source>half-width ResNet-50, trained for tracking; light enough for live work without a GPU</source>
        <translation>ResNet-50 in halber Breite, für Verfolgung trainiert; leicht genug für Live-Arbeit ohne GPU</translation>
    </message>
    <message>
        <source>labelme folder</source>
        <translation>labelme-Ordner</translation>
    </message>
    <message>
        <source>masks are exact (import as CVAT for images 1.1); polygons become tracks (CVAT for video 1.1)</source>
        <translation>Masken sind exakt (Import als CVAT for images 1.1); Polygone werden Tracks (CVAT for video 1.1)</translation>
    </message>
    <message>
        <source>no published figure</source>
        <translation>keine veröffentlichte Zahl</translation>
    </message>
    <message>
        <source>odd sizes are kept as 4:4:4, which some players refuse</source>
        <translation>ungerade Größen bleiben als 4:4:4 erhalten, was manche Player ablehnen</translation>
    </message>
    <message>
        <source>of the colour over the object</source>
        <translation>der Farbe über dem Objekt</translation>
    </message>
    <message>
        <source>of the picture; the height follows</source>
        <translation>des Bildes; die Höhe folgt</translation>
    </message>
    <message>
        <source>outlines can be edited, but fill holes; masks are exact (labelme 5.3)</source>
        <translation>Umrisse sind bearbeitbar, füllen aber Löcher; Masken sind exakt (labelme 5.3)</translation>
    </message>
    <message>
        <source>px</source>
        <translation>px</translation>
    </message>
    <message>
        <source>test</source>
        <translation>test</translation>
    </message>
    <message>
        <source>the frames themselves, without which few tools open it</source>
        <translation>die Bilder selbst, ohne die wenige Werkzeuge es öffnen</translation>
    </message>
    <message>
        <source>the list that this video is entered in</source>
        <translation>die Liste, in die dieses Video eingetragen wird</translation>
    </message>
    <message>
        <source>the paper's larger variant</source>
        <translation>die größere Variante der Veröffentlichung</translation>
    </message>
    <message>
        <source>the paper's network, trained for tracking</source>
        <translation>das Netz der Veröffentlichung, für Verfolgung trainiert</translation>
    </message>
    <message>
        <source>the paper's smaller variant</source>
        <translation>die kleinere Variante der Veröffentlichung</translation>
    </message>
    <message>
        <source>the same network before that training, for commercial use; leaves trails on moving objects</source>
        <translation>dasselbe Netz vor diesem Training, für kommerzielle Nutzung; hinterlässt Spuren an bewegten Objekten</translation>
    </message>
    <message>
        <source>train</source>
        <translation>train</translation>
    </message>
    <message>
        <source>val</source>
        <translation>val</translation>
    </message>
    <message>
        <source>valid</source>
        <translation>valid</translation>
    </message>
    <message>
        <source>what is in the picture</source>
        <translation>was im Bild ist</translation>
    </message>
    <message>
        <source>what replaces everything but the objects</source>
        <translation>was alles außer den Objekten ersetzt</translation>
    </message>
    <message>
        <source>what the editing program expects</source>
        <translation>was das Schnittprogramm erwartet</translation>
    </message>
    <message>
        <source>your file (--weights)</source>
        <translation>Ihre Datei (--weights)</translation>
    </message>
</context><context>
    <name>TargetRow</name>
    <message>
        <source>C&amp;hoose…</source>
        <translation>&amp;Wählen…</translation>
    </message>
    <message>
        <source>Choose the target</source>
        <translation>Ziel wählen</translation>
    </message>
    <message>
        <source>&amp;Target folder</source>
        <translation>&amp;Zielordner</translation>
    </message>
    <message>
        <source>&amp;Target file</source>
        <translation>&amp;Zieldatei</translation>
    </message>
    <message>
        <source>Target folder</source>
        <translation>Zielordner</translation>
    </message>
    <message>
        <source>Target file</source>
        <translation>Zieldatei</translation>
    </message>
</context><context>
    <name>TextDialog</name>
    <message>
        <source>&amp;Copy</source>
        <translation>&amp;Kopieren</translation>
    </message>
    <message>
        <source>Copy the text</source>
        <translation>Text kopieren</translation>
    </message>
</context><context>
    <name>Timeline</name>
    <message>
        <source>Time line</source>
        <translation>Zeitleiste</translation>
    </message>
    <message>
        <source>LIVE</source>
        <translation>LIVE</translation>
    </message>
    <message>
        <source>REC</source>
        <translation>REC</translation>
    </message>
</context><context>
    <name>ToolBar</name>
    <message>
        <source>Tools</source>
        <translation>Werkzeuge</translation>
    </message>
</context><context>
    <name>ToolOptions</name>
    <message>
        <source>Fill tolerance</source>
        <translation>Fülltoleranz</translation>
    </message>
    <message>
        <source>How different colours may be that a fill bridges: [ and ], or Ctrl + wheel</source>
        <translation>Wie verschieden die Farben sein dürfen, die das Füllen überbrückt: [ und ] oder Strg + Mausrad</translation>
    </message>
    <message>
        <source>Tool options</source>
        <translation>Werkzeugoptionen</translation>
    </message>
    <message>
        <source>Brush size</source>
        <translation>Pinselgröße</translation>
    </message>
    <message>
        <source>Brush size: [ and ], or Ctrl + wheel on the picture</source>
        <translation>Pinselgröße: [ und ] oder Strg + Mausrad auf dem Bild</translation>
    </message>
    <message>
        <source>Overlay opacity</source>
        <translation>Deckkraft der Maske</translation>
    </message>
    <message>
        <source>How strong the mask shows: Shift+[ and Shift+], H hides it</source>
        <translation>Wie stark die Maske erscheint: Umschalt+[ und Umschalt+], H blendet sie aus</translation>
    </message>
    <message>
        <source>Zoom</source>
        <translation>Zoom</translation>
    </message>
    <message>
        <source>%1 px</source>
        <translation>%1 px</translation>
    </message>
</context><context>
    <name>Tools</name>
    <message>
        <source>Clear</source>
        <translation>Leeren</translation>
    </message>
    <message>
        <source>Erase</source>
        <translation>Radieren</translation>
    </message>
    <message>
        <source>Paint</source>
        <translation>Malen</translation>
    </message>
    <message>
        <source>Erase box</source>
        <translation>Rechteck radieren</translation>
    </message>
    <message>
        <source>Box</source>
        <translation>Rechteck</translation>
    </message>
    <message>
        <source>Erase polygon</source>
        <translation>Polygon radieren</translation>
    </message>
    <message>
        <source>Polygon</source>
        <translation>Polygon</translation>
    </message>
    <message>
        <source>Erase piece</source>
        <translation>Stück radieren</translation>
    </message>
    <message>
        <source>Fill</source>
        <translation>Füllen</translation>
    </message>
</context><context>
    <name>Tour</name>
    <message>
        <source>First steps</source>
        <translation>Erste Schritte</translation>
    </message>
    <message>
        <source>S&amp;kip</source>
        <translation>Übers&amp;pringen</translation>
    </message>
    <message>
        <source>Bac&amp;k</source>
        <translation>&amp;Zurück</translation>
    </message>
    <message>
        <source>&amp;Next</source>
        <translation>&amp;Weiter</translation>
    </message>
    <message>
        <source>1 of 3: open something</source>
        <translation>1 von 3: etwas öffnen</translation>
    </message>
    <message>
        <source>Drop a video on the window, open a camera, or take the demo.</source>
        <translation>Legen Sie ein Video auf dem Fenster ab, öffnen Sie eine Kamera oder nehmen Sie die Demo.</translation>
    </message>
    <message>
        <source>2 of 3: paint the object</source>
        <translation>2 von 3: das Objekt malen</translation>
    </message>
    <message>
        <source>The left button paints, the right one erases. N adds another object, Ctrl+Z undoes.</source>
        <translation>Die linke Taste malt, die rechte radiert. N fügt ein weiteres Objekt hinzu, Strg+Z macht rückgängig.</translation>
    </message>
    <message>
        <source>3 of 3: track and correct</source>
        <translation>3 von 3: verfolgen und korrigieren</translation>
    </message>
    <message>
        <source>Space tracks and pauses. Paint again wherever the mask is wrong; F1 shows all keys.</source>
        <translation>Die Leertaste verfolgt und hält an. Malen Sie nach, wo die Maske nicht stimmt; F1 zeigt alle Tasten.</translation>
    </message>
    <message>
        <source>&amp;Done</source>
        <translation>&amp;Fertig</translation>
    </message>
</context><context>
    <name>TrackingController</name>
    <message>
        <source>Clear tracking</source>
        <translation>Verfolgung löschen</translation>
    </message>
    <message>
        <source>Drop every tracked mask?</source>
        <translation>Alle verfolgten Masken verwerfen?</translation>
    </message>
    <message>
        <source>Keyframes stay. This cannot be undone.</source>
        <translation>Keyframes bleiben. Das lässt sich nicht rückgängig machen.</translation>
    </message>
    <message>
        <source>&amp;Clear</source>
        <translation>&amp;Löschen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>The in mark must be before the out mark.</source>
        <translation>Die Anfangsmarke muss vor der Endmarke liegen.</translation>
    </message>
    <message>
        <source>Shift+I clears both.</source>
        <translation>Umschalt+I löscht beide.</translation>
    </message>
</context><context>
    <name>TransportBar</name>
    <message>
        <source>Instant replay</source>
        <translation>Sofortige Rückschau</translation>
    </message>
    <message>
        <source>Step to where it went wrong, paint, then Space</source>
        <translation>Dorthin gehen, wo es schiefging, malen, dann Leertaste</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>Next step</source>
        <translation>Nächster Schritt</translation>
    </message>
    <message>
        <source>Frame</source>
        <translation>Bild</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>Zeit</translation>
    </message>
    <message>
        <source>Track or pause</source>
        <translation>Verfolgen oder anhalten</translation>
    </message>
    <message>
        <source>, recording</source>
        <translation>, Aufzeichnung läuft</translation>
    </message>
    <message>
        <source>Tracking starts when the engine is ready</source>
        <translation>Die Verfolgung beginnt, sobald die Engine bereit ist</translation>
    </message>
    <message>
        <source>Frame %1</source>
        <translation>Bild %1</translation>
    </message>
    <message>
        <source>keyframe</source>
        <translation>Keyframe</translation>
    </message>
    <message>
        <source>tracked</source>
        <translation>verfolgt</translation>
    </message>
    <message>
        <source>out of date</source>
        <translation>veraltet</translation>
    </message>
</context><context>
    <name>Welcome</name>
    <message>
        <source>Opens MP4, MOV, MKV, AVI, WebM, folders of pictures, cameras, RTSP and HTTP streams.</source>
        <translation>Öffnet MP4, MOV, MKV, AVI, WebM, Bildordner, Kameras, RTSP- und HTTP-Streams.</translation>
    </message>
    <message>
        <source>Paint an object once, and the mask follows it through the video.</source>
        <translation>Malen Sie ein Objekt einmal an, und die Maske folgt ihm durch das Video.</translation>
    </message>
    <message>
        <source>Drop a video, a folder or a picture here, or</source>
        <translation>Legen Sie ein Video, einen Ordner oder ein Bild hier ab, oder</translation>
    </message>
    <message>
        <source>Open video…</source>
        <translation>Video öffnen…</translation>
    </message>
    <message>
        <source>Open camera</source>
        <translation>Kamera öffnen</translation>
    </message>
    <message>
        <source>Try the demo</source>
        <translation>Demo ausprobieren</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>a video, or freeze a live picture with Space</source>
        <translation>Sie ein Video, oder halten Sie ein Live-Bild mit der Leertaste an</translation>
    </message>
    <message>
        <source>Paint</source>
        <translation>Malen</translation>
    </message>
    <message>
        <source>the object roughly with the brush; N adds another object</source>
        <translation>Sie das Objekt grob mit dem Pinsel; N fügt ein weiteres hinzu</translation>
    </message>
    <message>
        <source>Press Space</source>
        <translation>Leertaste</translation>
    </message>
    <message>
        <source>to track. Paint again wherever the mask is wrong</source>
        <translation>verfolgt. Malen Sie nach, wo die Maske nicht stimmt</translation>
    </message>
    <message>
        <source>Recent</source>
        <translation>Zuletzt geöffnet</translation>
    </message>
    <message>
        <source>Open %1 again</source>
        <translation>%1 wieder öffnen</translation>
    </message>
</context><context>
    <name>transport</name>
    <message>
        <source>Tracking</source>
        <translation>Verfolgung läuft</translation>
    </message>
    <message>
        <source>Tracking backward</source>
        <translation>Verfolgung rückwärts</translation>
    </message>
    <message>
        <source>Nothing open</source>
        <translation>Nichts geöffnet</translation>
    </message>
    <message>
        <source>Opening…</source>
        <translation>Wird geöffnet…</translation>
    </message>
    <message>
        <source>Live</source>
        <translation>Live</translation>
    </message>
    <message>
        <source>Frozen</source>
        <translation>Eingefroren</translation>
    </message>
    <message>
        <source>Paused</source>
        <translation>Angehalten</translation>
    </message>
    <message>
        <source>Playing</source>
        <translation>Wiedergabe</translation>
    </message>
    <message>
        <source>Open a video or a camera</source>
        <translation>Video oder Kamera öffnen</translation>
    </message>
    <message>
        <source>Paint to correct, Space pauses</source>
        <translation>Malen korrigiert, Leertaste hält an</translation>
    </message>
    <message>
        <source>Space pauses</source>
        <translation>Leertaste hält an</translation>
    </message>
    <message>
        <source>Space tracks</source>
        <translation>Leertaste verfolgt</translation>
    </message>
    <message>
        <source>Paint, or Space to freeze</source>
        <translation>Malen, oder Leertaste zum Einfrieren</translation>
    </message>
    <message>
        <source>Space plays from the start</source>
        <translation>Leertaste spielt von Anfang an</translation>
    </message>
    <message>
        <source>Space tracks from here</source>
        <translation>Leertaste verfolgt ab hier</translation>
    </message>
    <message>
        <source>Paint the object, then Space</source>
        <translation>Objekt malen, dann Leertaste</translation>
    </message>
</context></TS>
